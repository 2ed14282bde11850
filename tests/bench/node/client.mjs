// One Yjs client over a WebSocket, which checks what it gets and integrates nothing.
// Updates are made before they are needed and counted by the clocks inside of them,
// so that merged ones count for what they bring, and nothing counts twice.
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import WebSocket from 'ws'
import * as Y from 'yjs'

const SYNC = 0
const HOCUSPOCUS_AUTH = 2
const [HELLO, ACK, PING, PONG] = [100, 101, 105, 106]

const empty = Y.encodeStateVector(new Y.Doc())
const nothing = new Uint8Array([0, 0])
let lastId = 1000

export class Client {
  // server: { kind: 'plain' | 'window' | 'hocuspocus', url, hello: hex of a window }
  constructor (server, room, updateCount) {
    this.server = server
    this.room = room
    this.id = ++lastId
    this.count = 0
    this.sentAt = []
    this.updates = this.make(updateCount)
    this.expected = Infinity
    this.onTaken = () => {}
    this.onAcknowledged = () => {}
  }

  make (count) {
    const doc = new Y.Doc()
    doc.clientID = this.id
    const made = []
    doc.on('update', (update) => made.push(this.message(2, update)))
    const text = doc.getText('t')
    for (let n = 0; n < count; n++) text.insert(n, 'x')
    return made
  }

  // Resolves once the server has answered with all it has; calls back when it is there.
  connect (onOpen = () => {}) {
    const { kind, url } = this.server
    const address = kind === 'hocuspocus' ? url : `${url}/${this.room}`
    const words = kind === 'window' ? ['crdtsync.v1'] : []
    this.known = new Map()
    this.numberSent = 0
    this.socket = new WebSocket(address, words, { perMessageDeflate: false })
    this.socket.binaryType = 'arraybuffer'
    this.socket.on('open', () => {
      onOpen()
      this.greet()
    })
    this.socket.on('message', (data) => this.receive(new Uint8Array(data)))
    return new Promise((resolve, reject) => {
      this.becomeLive = resolve
      this.socket.on('error', reject)
      this.socket.on('close', (code) => reject(new Error(`closed with ${code}`)))
    })
  }

  lost () {
    return new Promise((resolve) => this.socket.on('close', resolve))
  }

  greet () {
    if (this.server.kind === 'hocuspocus') {
      const encoder = this.begin()
      encoding.writeVarUint(encoder, HOCUSPOCUS_AUTH)
      encoding.writeVarUint(encoder, 0)
      encoding.writeVarString(encoder, 'token')
      encoding.writeVarString(encoder, '4.7.0')
      this.socket.send(encoding.toUint8Array(encoder))
    } else if (this.server.kind === 'window') {
      this.socket.send(Buffer.from(this.server.hello, 'hex'))
    }
    this.socket.send(this.message(0, empty))
  }

  // Hocuspocus puts the document's name before each message.
  begin () {
    const encoder = encoding.createEncoder()
    if (this.server.kind === 'hocuspocus') encoding.writeVarString(encoder, this.room)
    return encoder
  }

  message (step, payload) {
    const encoder = this.begin()
    encoding.writeVarUint(encoder, SYNC)
    encoding.writeVarUint(encoder, step)
    encoding.writeVarUint8Array(encoder, payload)
    return encoding.toUint8Array(encoder)
  }

  write () {
    const number = this.sentAt.length
    this.sentAt.push(performance.now())
    this.numberSent++
    this.socket.send(this.updates[number])
  }

  receive (frame) {
    const decoder = decoding.createDecoder(frame)
    if (this.server.kind === 'hocuspocus') decoding.readVarString(decoder)
    do {
      const kind = decoding.readVarUint(decoder)
      if (kind === SYNC) this.receiveSync(decoder)
      else if (kind >= HELLO) this.receiveOurs(kind, decoder)
      else return
    } while (decoding.hasContent(decoder))
  }

  receiveSync (decoder) {
    const step = decoding.readVarUint(decoder)
    const payload = decoding.readVarUint8Array(decoder)
    if (step === 0) {
      this.numberSent++
      this.socket.send(this.message(1, nothing))
      return
    }
    this.take(payload)
    if (step === 1) this.becomeLive()
  }

  receiveOurs (kind, decoder) {
    const body = decoding.createDecoder(decoding.readVarUint8Array(decoder))
    if (kind === ACK) this.onAcknowledged(decoding.readVarUint(body))
    if (kind !== PING) return
    const encoder = encoding.createEncoder()
    encoding.writeVarUint(encoder, PONG)
    encoding.writeVarUint8Array(encoder, body.arr)
    this.socket.send(encoding.toUint8Array(encoder))
  }

  take (update) {
    for (const [client, clock] of Y.parseUpdateMeta(update).to) {
      if (client === this.id) continue
      const before = this.known.get(client) ?? 0
      if (clock <= before) continue
      this.known.set(client, clock)
      this.count += clock - before
      this.onTaken(client, before, clock)
    }
    if (this.count >= this.expected) this.becomeComplete()
  }

  // Resolves once so many updates of others have come.
  complete (count) {
    this.expected = count
    return new Promise((resolve) => {
      this.becomeComplete = resolve
      if (this.count >= count) resolve()
    })
  }
}
