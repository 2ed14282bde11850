// Puts load on a server: `node load.mjs '{"scenario": ..., "server": {...}, ...}'`.
// Prints {"at": "start"} when the clients are in step and one line of figures at the
// end, once every update has reached every client that was to get it. What is missing
// after `deadlineS` is an error.
import { burst, echo, herd, steady } from './scenarios.mjs'

const wish = JSON.parse(process.argv[2])
const tell = (line) => console.log(JSON.stringify(line))

const deadline = setTimeout(() => {
  tell({ at: 'missed' })
  process.exit(1)
}, wish.deadlineS * 1000)
const scenario = { burst, echo, herd, steady }[wish.scenario]
tell({ at: 'end', ...await scenario(wish, () => tell({ at: 'start' })) })
clearTimeout(deadline)
process.exit(0)
