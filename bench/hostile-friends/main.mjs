// Usage: main.mjs [FRIENDS] [CONNECTIONS OF EACH] [SECONDS] [native|official]
import { runHostileFriends } from './friends.mjs'

const [friends = 4, connections = 25, seconds = 20] = process.argv.slice(2, 5).map(Number)
const door = process.argv[5] ?? 'native'
console.log(JSON.stringify(await runHostileFriends({ friends, connections, seconds, door })))
process.exit()
