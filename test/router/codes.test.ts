/** What the codes of a stream say about a request, in words. */
import { expect, test } from 'vitest'
import { LIBRARY_CODE } from '../../src/core/engine/wire.ts'
import { P2PError } from '../../src/core/errors.ts'
import { testNodeId } from '../../src/core/keys.ts'
import { explainStreamError, REQUEST_CODE } from '../../src/router/codes.ts'

const HOME = testNodeId('home')

test.each([
  [REQUEST_CODE.timeout, /it took too long for it \(code \d+\)$/],
  [LIBRARY_CODE.ended, /the peer was ending the connection/],
  [LIBRARY_CODE.headerTimeout, /did not come in time/],
  [4711, /it did not say why \(code 4711\)$/],
])('code %i', (streamCode, words) => {
  const reset = P2PError.of('stream-reset', 'reset', { streamCode })
  const explained = explainStreamError(reset, 'GET /track', HOME)
  expect(explained.message).toContain(`${HOME.fmtShort()} gave up GET /track: `)
  expect(explained.message).toMatch(words)
  expect(explained).toMatchObject({ code: 'stream-reset', streamCode, cause: reset })
})

test.each([REQUEST_CODE.refused, REQUEST_CODE.closing])(
  'code %i is a refusal by a node with its whole id',
  (streamCode) => {
    const reset = P2PError.of('stream-reset', 'reset', { streamCode })
    expect(explainStreamError(reset, 'GET /track', HOME)).toMatchObject({ code: 'refused', node: HOME.toString() })
  },
)
