// One room, N clients, a burst of updates: every client sends its share at once.
// Prints one line of JSON once every client has every update, or what was missing.
// Deliveries are counted by clocks inside of the updates, so that merged ones count
// for what they bring, and nothing counts twice.
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import WebSocket from 'ws'
import * as Y from 'yjs'

const [kind, url, room, clientCount, updateCount, deadlineS] = process.argv.slice(2)
const share = Math.floor(Number(updateCount) / Number(clientCount))
const total = share * Number(clientCount)

const framed = kind === 'hocuspocus'
const address = framed ? url : `${url}/${room}`

// Hocuspocus puts the document's name before each message, and wants a token first.
const begin = () => {
  const encoder = encoding.createEncoder()
  if (framed) encoding.writeVarString(encoder, room)
  return encoder
}

const message = (step, payload) => {
  const encoder = begin()
  encoding.writeVarUint(encoder, 0)
  encoding.writeVarUint(encoder, step)
  encoding.writeVarUint8Array(encoder, payload)
  return encoding.toUint8Array(encoder)
}

class Client {
  constructor (index) {
    this.index = index
    this.known = new Map()
    this.count = 0
    const doc = new Y.Doc()
    doc.clientID = 1000 + index
    this.updates = []
    doc.on('update', (update) => this.updates.push(message(2, update)))
    const text = doc.getText('t')
    for (let n = 0; n < share; n++) text.insert(text.length, 'x')
    this.socket = new WebSocket(address, { perMessageDeflate: false })
    this.socket.binaryType = 'arraybuffer'
    this.live = new Promise((resolve) => { this.becomeLive = resolve })
    this.complete = new Promise((resolve) => { this.becomeComplete = resolve })
    this.socket.on('open', () => {
      if (framed) {
        const encoder = begin()
        encoding.writeVarUint(encoder, 2)
        encoding.writeVarUint(encoder, 0)
        encoding.writeVarString(encoder, 'token')
        encoding.writeVarString(encoder, '4.7.0')
        this.socket.send(encoding.toUint8Array(encoder))
      }
      this.socket.send(message(0, Y.encodeStateVector(new Y.Doc())))
    })
    this.socket.on('message', (data) => this.receive(new Uint8Array(data)))
  }

  receive (data) {
    const decoder = decoding.createDecoder(data)
    if (framed) decoding.readVarString(decoder)
    if (decoding.readVarUint(decoder) !== 0) return
    const step = decoding.readVarUint(decoder)
    const payload = decoding.readVarUint8Array(decoder)
    if (step === 0) return this.socket.send(message(1, new Uint8Array([0, 0])))
    this.take(payload)
    if (step === 1) this.becomeLive()
  }

  take (update) {
    for (const [client, clock] of Y.parseUpdateMeta(update).to) {
      if (client === 1000 + this.index) continue
      const before = this.known.get(client) ?? 0
      if (clock > before) {
        this.known.set(client, clock)
        this.count += clock - before
      }
    }
    if (this.count >= total - share) this.becomeComplete()
  }
}

const clients = Array.from({ length: Number(clientCount) }, (_, index) => new Client(index))
const deadline = setTimeout(() => {
  console.log(JSON.stringify({ missing: clients.map(({ count }) => total - share - count) }))
  process.exit(1)
}, Number(deadlineS) * 1000)
await Promise.all(clients.map(({ live }) => live))
await new Promise((resolve) => setTimeout(resolve, 200))
const started = performance.now()
for (const { socket, updates } of clients) for (const update of updates) socket.send(update)
await Promise.all(clients.map(({ complete }) => complete))
const seconds = (performance.now() - started) / 1000
clearTimeout(deadline)
const deliveries = clients.reduce((sum, { count }) => sum + count, 0)
if (deliveries !== (total - share) * clients.length) throw new Error('counted wrongly')
console.log(JSON.stringify({ seconds, deliveries }))
for (const { socket } of clients) socket.terminate()
