// Writes the messages of layer 1 with y-protocols itself, and reads those it is given.
import * as Y from 'yjs'
import * as awareness from 'y-protocols/awareness'
import * as auth from 'y-protocols/auth'
import * as sync from 'y-protocols/sync'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'

const frame = (type, write) => {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, type)
  write(encoder)
  return Buffer.from(encoding.toUint8Array(encoder)).toString('hex')
}
const document = () => {
  const doc = new Y.Doc()
  doc.clientID = 4294967295
  doc.getText('t').insert(0, 'naïve 😀')
  return doc
}

const write = () => {
  const doc = document()
  const states = new awareness.Awareness(doc)
  states.setLocalState({ user: { name: 'Zoë 😀' } })
  const both = new Y.Doc()
  both.clientID = 7
  const gone = new awareness.Awareness(both)
  gone.setLocalState(null)
  const entry = awareness.encodeAwarenessUpdate(states, [4294967295])
  const empty = awareness.encodeAwarenessUpdate(gone, [])
  console.log(JSON.stringify({
    update: Buffer.from(Y.encodeStateAsUpdate(doc)).toString('hex'),
    vector: Buffer.from(Y.encodeStateVector(doc)).toString('hex'),
    step1: frame(0, encoder => sync.writeSyncStep1(encoder, doc)),
    step2: frame(0, encoder => sync.writeSyncStep2(encoder, doc)),
    live: frame(0, encoder => sync.writeUpdate(encoder, Y.encodeStateAsUpdate(doc))),
    awareness: frame(1, encoder => encoding.writeVarUint8Array(encoder, entry)),
    nobody: frame(1, encoder => encoding.writeVarUint8Array(encoder, empty)),
    denied: frame(2, encoder => auth.writePermissionDenied(encoder, 'nur für Gäste')),
    query: frame(3, () => {})
  }))
  states.destroy()
  gone.destroy()
}

// Reads frames as y-websocket does, and tells what they did.
const read = frames => {
  const doc = new Y.Doc()
  const states = new awareness.Awareness(doc)
  const told = { replies: [], denied: [], states: {} }
  for (const hex of frames) {
    const decoder = decoding.createDecoder(Buffer.from(hex, 'hex'))
    const encoder = encoding.createEncoder()
    switch (decoding.readVarUint(decoder)) {
      case 0:
        encoding.writeVarUint(encoder, 0)
        sync.readSyncMessage(decoder, encoder, doc, null)
        if (encoding.length(encoder) > 1) {
          told.replies.push(Buffer.from(encoding.toUint8Array(encoder)).toString('hex'))
        }
        break
      case 1:
        awareness.applyAwarenessUpdate(states, decoding.readVarUint8Array(decoder), null)
        break
      case 2:
        auth.readAuthMessage(decoder, doc, (_, reason) => told.denied.push(reason))
        break
    }
    if (decoding.hasContent(decoder)) throw new Error(`bytes are left over in ${hex}`)
  }
  told.text = doc.getText('t').toString()
  for (const [client, state] of states.getStates()) {
    if (client !== doc.clientID) told.states[client] = state
  }
  console.log(JSON.stringify(told))
  states.destroy()
}

const given = process.argv.slice(2)
if (given.length) read(given)
else write()
