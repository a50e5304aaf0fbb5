/** What the codes of a stream say about a request, in words. */
import { expect, test } from 'vitest'
import { LIBRARY_CODE } from '../../src/core/engine/wire.ts'
import { P2PError } from '../../src/core/errors.ts'
import { explainStreamError, REQUEST_CODE } from '../../src/router/codes.ts'

test.each([
  [REQUEST_CODE.timeout, /it took too long for it \(code \d+\)$/],
  [LIBRARY_CODE.ended, /the peer was ending the connection/],
  [LIBRARY_CODE.headerTimeout, /did not come in time/],
  [4711, /it did not say why \(code 4711\)$/],
])('code %i', (streamCode, words) => {
  const reset = P2PError.of('stream-reset', 'reset', { streamCode })
  const explained = explainStreamError(reset, 'GET /track', 'home')
  expect(explained.message).toMatch(/^home gave up GET \/track: /)
  expect(explained.message).toMatch(words)
  expect(explained).toMatchObject({ code: 'stream-reset', streamCode, cause: reset })
})
