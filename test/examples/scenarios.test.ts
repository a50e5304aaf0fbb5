/** The scenarios of the examples, over a few seeds each; `p2p-sim` sweeps them over as many as one likes. */
import chat from '../../examples/chat/scenario.ts'
import transfer from '../../examples/file-transfer/scenario.ts'
import { simTest } from '../../src/simtest/index.ts'

// With vitest they become tests, and nothing is to be waited for.
for (const { name, options, body } of [chat, transfer]) void simTest(name, options, body)
