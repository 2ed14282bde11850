// What the clients do: all at once, at a steady rate, in answer to each other, or
// coming back after the server was away. Rates are per second, times in milliseconds.
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from './client.mjs'

const SETTLE_MS = 300
const RETRY_MS = 50

const open = (wish, updateCount) => {
  const clients = []
  for (let n = 0; n < wish.rooms * wish.clients; n++) {
    const room = `${wish.room}-${n % wish.rooms}`
    clients.push(new Client(wish.server, room, updateCount))
  }
  return clients
}

const join = async (wish, updateCount) => {
  const clients = open(wish, updateCount)
  await Promise.all(clients.map((client) => client.connect()))
  await sleep(SETTLE_MS)
  return clients
}

// Resolves once every client has what the others of its room write, and returns how
// many deliveries that were.
const delivered = async (clients, wish, updateCount) => {
  const each = updateCount * (wish.clients - 1)
  await Promise.all(clients.map((client) => client.complete(each)))
  if (clients.some(({ count }) => count !== each)) throw new Error('counted wrongly')
  return each * clients.length
}

const percentiles = (times) => {
  const sorted = Float64Array.from(times).sort()
  const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]
  return { p50: at(0.5), p99: at(0.99), most: at(1) }
}

const timeDeliveries = (clients) => {
  const times = []
  const senders = new Map(clients.map((client) => [client.id, client]))
  for (const client of clients) {
    client.onTaken = (author, from, to) => {
      const now = performance.now()
      const { sentAt } = senders.get(author)
      for (let n = from; n < to; n++) times.push(now - sentAt[n])
    }
  }
  return times
}

// Every client writes at a rate of its own, the clients one after the other.
const write = async (clients, wish) => {
  const updateCount = Math.round(wish.rate * wish.seconds)
  const gap = 1000 / wish.rate
  const started = performance.now()
  const due = (step) => started + (step / clients.length) * gap
  for (let step = 0; step < updateCount * clients.length; step++) {
    while (performance.now() < due(step)) await sleep(1)
    clients[step % clients.length].write()
  }
}

// Every client sends its share of the updates at once.
export const burst = async (wish, start) => {
  const clients = await join(wish, wish.updates)
  const done = delivered(clients, wish, wish.updates)
  start()
  const started = performance.now()
  for (const client of clients) {
    for (let n = 0; n < wish.updates; n++) client.write()
  }
  const deliveries = await done
  return { deliveries, seconds: (performance.now() - started) / 1000 }
}

export const steady = async (wish, start) => {
  const updateCount = Math.round(wish.rate * wish.seconds)
  const clients = await join(wish, updateCount)
  const times = timeDeliveries(clients)
  const acks = timeAcknowledgements(clients)
  const done = delivered(clients, wish, updateCount)
  start()
  await write(clients, wish)
  const deliveries = await done
  if (times.length !== deliveries) throw new Error('timed wrongly')
  if (wish.server.kind === 'window') await acks.complete(updateCount * clients.length)
  const sent = updateCount * clients.length
  return { deliveries, sent, ...percentiles(times), ack: percentiles(acks.times) }
}

// An ACK says how many of a connection's updates are on disk, its step 2 included.
const timeAcknowledgements = (clients) => {
  const times = []
  for (const client of clients) {
    let known = 0
    const before = client.numberSent
    client.onAcknowledged = (count) => {
      for (; known < count - before; known++) {
        times.push(performance.now() - client.sentAt[known])
      }
    }
  }
  const complete = async (count) => { while (times.length < count) await sleep(1) }
  return { times, complete }
}

// One client writes at a rate, the other writes whenever it gets something of it.
export const echo = async (wish, start) => {
  const updateCount = Math.round(wish.rate * wish.seconds)
  const [caller, answerer] = await join(wish, updateCount)
  const times = []
  answerer.onTaken = (_, from, to) => {
    for (let n = from; n < to; n++) answerer.write()
  }
  caller.onTaken = (_, from, to) => {
    for (let n = from; n < to; n++) times.push(performance.now() - caller.sentAt[n])
  }
  const done = delivered([caller, answerer], wish, updateCount)
  start()
  await write([caller], wish)
  return { deliveries: await done, ...percentiles(times) }
}

// All clients write once, lose the server, and come back to it as soon as it is there.
export const herd = async (wish, start) => {
  const clients = await join(wish, 1)
  const done = delivered(clients, wish, 1)
  const lost = Promise.all(clients.map((client) => client.lost()))
  for (const client of clients) client.write()
  await done
  start()
  await lost
  let first = Infinity
  const comeBack = async (client) => {
    for (;;) {
      client.count = 0
      let opened
      try {
        await client.connect(() => { opened = performance.now() })
        first = Math.min(first, opened)
        return
      } catch {
        await sleep(RETRY_MS)
      }
    }
  }
  await Promise.all(clients.map(comeBack))
  const seconds = (performance.now() - first) / 1000
  const each = wish.clients - 1
  if (clients.some(({ count }) => count !== each)) throw new Error('something was lost')
  return { seconds, clients: clients.length }
}
