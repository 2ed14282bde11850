// Three y-websocket clients in one room: random edits, disconnects and reconnects.
// Prints each client's text as a line of JSON once all agree and the text is stable.
import WebSocket from 'ws'
import * as Y from 'yjs'

const [url, room, seed, edits, expected, client] = process.argv.slice(2)
const { WebsocketProvider } = await import(client)

let state = Number(seed)
const random = (below) => {
  state = (state * 1103515245 + 12345) % 2147483648
  return Math.floor((state / 2147483648) * below)
}

const clients = [0, 1, 2].map(() => {
  const doc = new Y.Doc()
  const provider = new WebsocketProvider(url, room, doc, {
    WebSocketPolyfill: WebSocket,
    disableBc: true,
    maxBackoffTime: 200
  })
  return { doc, provider, text: doc.getText('t') }
})

// Yjs counts in halves of characters; a cut through one is refused by the relay (T2-7).
const place = (text) => {
  const characters = [...text.toString()]
  const at = random(characters.length + 1)
  const before = characters.slice(0, at).join('').length
  return { before, size: (characters[at] ?? '').length }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

for (let edit = 0; edit < Number(edits); edit++) {
  const { text, provider } = clients[random(3)]
  if (random(12) === 0) {
    provider.wsconnected ? provider.disconnect() : provider.connect()
  } else if (random(4) === 0) {
    const { before, size } = place(text)
    text.delete(before, size)
  } else {
    text.insert(place(text).before, ['a', 'é', '😀', 'xyz'][random(4)])
  }
  if (random(5) === 0) await pause(random(5))
}
for (const { provider } of clients) provider.connect()
clients[0].text.insert(0, '<node>')

// The last word of each client is in the text: then everything before it is, too.
const done = () =>
  clients.every(({ text, provider }) =>
    provider.synced &&
    text.toString().split('<node>').length === 2 &&
    text.toString().split('<py').length === Number(expected) + 1) &&
  new Set(clients.map(({ text }) => text.toString())).size === 1

while (!done()) await pause(20)
console.log(JSON.stringify(clients[0].text.toString()))
// Stay for the others until stdin ends.
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
