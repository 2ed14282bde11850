// Legitimate updates made by yjs: random edits, undo, deletions, diffs, merges.
// Prints `document replica base64` for each update that reaches a replica, in order;
// replica `-` is a new one. Usage: node corpus.mjs SEED COUNT
import * as Y from 'yjs'

const [seed, count] = process.argv.slice(2).map(Number)
const words = ['a', 'hello ', 'naïve ', '日本 ', '😀', 'x😀y👩‍👩‍👧 ', 'line\n', 'Ω']
let state = (seed * 2654435761) >>> 0
let printed = 0
let lines = []

// mulberry32: small, seeded and good enough to wander about.
const random = () => {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}
const below = n => Math.floor(random() * n)
const pick = list => list[below(list.length)]
const word = () => Array.from({ length: 1 + below(4) }, () => pick(words)).join('')
const key = () => pick([...'abcdefgé', '😀'])

const deliver = (document, replica, update) => {
  if (printed === count) return
  lines.push(`${document} ${replica} ${Buffer.from(update).toString('base64')}`)
  printed++
  if (lines.length > 500) flush()
}
const flush = () => {
  process.stdout.write(lines.join('\n') + (lines.length ? '\n' : ''))
  lines = []
}

// An offset between characters: JavaScript counts the halves of some separately.
const cut = text => {
  const cuts = [0]
  for (const { insert } of text.toDelta()) {
    const steps = typeof insert === 'string' ? [...insert].map(c => c.length) : [1]
    for (const step of steps) cuts.push(cuts[cuts.length - 1] + step)
  }
  return pick(cuts)
}

const value = (depth, session) => {
  const values = [null, true, 7, -(2 ** 40), 0.5, word(), { big: 2n ** 40n, none: undefined },
    { k: [1, { n: null }] }, [word(), word()], new Uint8Array([1, 2, 3])]
  if (depth < 4) {
    values.push(new Y.Text(word()), Y.Array.from([1, 'é']), new Y.Map([['k', 1]]))
  }
  if (depth === 0 && !session) values.push(new Y.Doc())
  return pick(values)
}

const writeText = (text, rich) => {
  const choice = random()
  if (choice < 0.55 || text.length === 0) {
    text.insert(cut(text), word(), rich ? pick([{}, {}, { bold: true }, { link: 'é' }]) : {})
    return
  }
  const [start, stop] = [cut(text), cut(text)].sort((a, b) => a - b)
  if (choice < 0.8 || !rich) text.delete(start, stop - start)
  else if (choice < 0.92) text.format(start, stop - start, pick([{ bold: true }, { em: null }]))
  else text.insertEmbed(cut(text), pick([{ image: word() }, new Y.Map()]))
}

const writeArray = (array, depth, session) => {
  const choice = random()
  if (choice < 0.25 && array.length) array.delete(below(array.length), 1)
  else if (choice < 0.35 && array.length) {
    const item = array.get(below(array.length))
    if (item instanceof Y.Array) writeArray(item, depth + 1, session)
  } else {
    array.insert(below(array.length + 1), Array.from({ length: 1 + below(3) }, () => value(depth, session)))
  }
}

const writeMap = (map, depth, session) => {
  const k = key()
  if (map.has(k) && random() < 0.3) {
    const item = map.get(k)
    if (item instanceof Y.Map) writeMap(item, depth + 1, session)
    else if (item instanceof Y.Text) writeText(item, !session)
    else map.delete(k)
  } else map.set(k, value(depth, session))
}

const writeXml = fragment => {
  if (fragment.length && random() < 0.3) {
    fragment.delete(below(fragment.length), 1)
    return
  }
  const child = random() < 0.5 ? new Y.XmlElement('p') : new Y.XmlText(word())
  fragment.insert(below(fragment.length + 1), [child])
  if (child instanceof Y.XmlElement) child.setAttribute('class', word())
}

const editSession = doc => {
  const choice = random()
  if (choice < 0.3) doc.getArray('messages').push([{ id: key(), text: word(), turn: 3 }])
  else if (choice < 0.7) {
    const texts = doc.getMap('texts')
    const k = key()
    if (!texts.has(k)) texts.set(k, new Y.Text())
    else if (random() < 0.05) { texts.delete(k); return }
    texts.get(k).insert(texts.get(k).length, word())
  } else if (choice < 0.9) writeMap(doc.getMap('tools'), 1, true)
  else if (choice < 0.95) doc.getMap('meta').set('title', word())
  else doc.getText('from-a-newer-version').insert(0, word())
}

const editGeneral = doc => {
  const choice = random()
  if (choice < 0.35) writeText(doc.getText('t'), true)
  else if (choice < 0.55) writeArray(doc.getArray('a'), 0, false)
  else if (choice < 0.8) writeMap(doc.getMap('m'), 0, false)
  else if (choice < 0.9) writeXml(doc.getXmlFragment('x'))
  else writeText(doc.getText('unknown'), true)
}

const live = document => {
  const session = document % 2 === 1
  const docs = Array.from({ length: 1 + below(4) }, (_, i) => new Y.Doc({ gc: i % 3 !== 2 }))
  const history = []
  docs.forEach((doc, replica) => {
    doc.clientID = 1 + below(2 ** 32 - 1)
    doc.on('update', (update, origin) => {
      if (origin === 'remote') return
      history.push(update)
      deliver(document, replica, update)
    })
  })
  const undo = docs.map(doc => new Y.UndoManager(
    session ? [doc.getMap('tools')] : [doc.getText('t'), doc.getMap('m')],
    { trackedOrigins: new Set(['local']), captureTimeout: 0 }))
  for (let step = 20 + below(100); step > 0; step--) {
    const at = below(docs.length)
    if (random() < 0.05) undo[at].undo()
    else if (random() < 0.03) undo[at].redo()
    else {
      docs[at].transact(() => {
        for (let n = pick([1, 1, 1, 2, 5]); n > 0; n--) (session ? editSession : editGeneral)(docs[at])
      }, 'local')
    }
    if (random() < 0.2) {
      const [source, target] = [below(docs.length), below(docs.length)]
      const missing = Y.encodeStateAsUpdate(docs[source], Y.encodeStateVector(docs[target]))
      // First, because yjs may answer with deletions of superfluous formats.
      deliver(document, target, missing)
      Y.applyUpdate(docs[target], missing, 'remote')
    }
  }
  stored(document, docs, history)
}

const stored = (document, docs, history) => {
  const states = docs.map(doc => Y.encodeStateAsUpdate(doc))
  for (const whole of states) deliver(document, '-', whole)
  deliver(document, '-', Y.mergeUpdates(states))
  deliver(document, '-', Y.convertUpdateFormatV2ToV1(Y.encodeStateAsUpdateV2(docs[0])))
  for (let i = 0; i < 3 && history.length; i++) {
    const start = below(history.length)
    deliver(document, '-', Y.mergeUpdates(history.slice(start, start + 2 + below(5))))
    // Leaving some out makes gaps.
    deliver(document, '-', Y.mergeUpdates(history.filter(() => random() < 0.5)))
  }
}

for (let document = seed * 1000000; printed < count; document++) live(document)
flush()
