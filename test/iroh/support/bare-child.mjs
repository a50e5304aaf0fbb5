// Two nodes on a machine that lacks something, in a network namespace: `node bare-child.mjs DOOR OPTIONS`. Prints what has
// become of them as JSON: the answer to a request between them, or the error.
import { IrohP2P } from '../../../dist/iroh/index.js'
import { P2PResponse, request, serve } from '../../../dist/router/index.js'

const [binding, options] = process.argv.slice(2)
const settings = { binding, relayTimeoutMs: 200, ...JSON.parse(options) }

async function tryIt() {
  const home = await IrohP2P.create(settings)
  const player = await IrohP2P.create(settings)
  try {
    await serve(home, () => P2PResponse.text('here'), { authorize: 'everyone' })
    const bound = home.address().direct.length
    const answer = await request(player, home.address(), { path: '/', deadlineMs: 12_000 })
    return { answer: await answer.text(), bound }
  } catch (error) {
    return { code: error.code, message: error.message }
  } finally {
    await Promise.all([home.close(), player.close()])
  }
}

const result = await tryIt().catch((error) => ({ code: error.code, message: error.message }))
process.stdout.write(JSON.stringify(result))
process.exit(0)
