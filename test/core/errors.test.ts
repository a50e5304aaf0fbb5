import { inspect } from 'node:util'
import { runInNewContext } from 'node:vm'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { P2PError } from '../../src/core/errors.ts'
import type { P2PErrorCode } from '../../src/core/errors.ts'

describe('P2PError', () => {
  test('has code, message, cause and the fields of its code', () => {
    const cause = new Error('below')
    const error = P2PError.of('timeout', 'too slow; be patient', { afterMs: 30 }, { cause })
    expect(error).toBeInstanceOf(Error)
    expect(error).toBeInstanceOf(P2PError)
    expect([error.code, error.message, error.cause, error.afterMs]).toEqual([
      'timeout',
      'too slow; be patient',
      cause,
      30,
    ])
    expect([error.name, String(error)]).toEqual(['P2PError', 'P2PError: too slow; be patient'])
    expect(error.stack).toContain('errors.test.ts')
    expectTypeOf(error.afterMs).toEqualTypeOf<number>()
  })

  test('has no cause unless one was given', () => {
    expect('cause' in P2PError.of('network', 'x', {})).toBe(false)
  })

  test('no field takes the place of `name`', () => {
    const error = P2PError.of('invalid-configuration', 'x', { setting: 'addr', value: 7 })
    expect([error.name, error.setting, error.value]).toEqual(['P2PError', 'addr', 7])
    const failed = P2PError.of('discovery-failed', 'x', { query: 'alice' })
    expect([failed.name, failed.query]).toEqual(['P2PError', 'alice'])
  })

  test('shows its fields to people', () => {
    const shown = inspect(P2PError.of('message-too-large', 'too large', { size: 9, max: 8 }))
    for (const part of ['P2PError: too large', "code: 'message-too-large'", 'size: 9', 'max: 8']) {
      expect(shown).toContain(part)
    }
  })

  test('is recognised, also from another copy of the package, and nothing else is', () => {
    const error: unknown = P2PError.of('network', 'x', {})
    expect(P2PError.is(error)).toBe(true)
    expect(P2PError.is(error, 'network')).toBe(true)
    expect(P2PError.is(error, 'io')).toBe(false)
    const other = runInNewContext(
      `Object.assign(new Error('x'), { code: 'network', [Symbol.for('@moosicbox/p2p/error')]: true })`,
    ) as unknown
    expect(other).not.toBeInstanceOf(P2PError)
    expect(P2PError.is(other, 'network')).toBe(true)
    for (const none of [undefined, null, 'network', 7, {}, new Error('x'), { code: 'network' }, () => {}]) {
      expect(P2PError.is(none)).toBe(false)
    }
  })

  test('of an abort is an AbortError whose cause is the reason', () => {
    const reason = { any: 'thing' }
    const error = P2PError.aborted(AbortSignal.abort(reason), 'read')
    expect([error.name, error.code, error.cause]).toEqual(['AbortError', 'aborted', reason])
    expect(error.message).toContain('read')
  })

  test('from anything keeps what is one already, and wraps what is not', () => {
    const error = P2PError.of('network', 'x', {})
    expect(P2PError.from(error, 'io', 'y', {})).toBe(error)
    const wrapped = P2PError.from('text', 'io', 'y', { path: '/p' })
    expect(wrapped).toMatchObject({ code: 'io', message: 'y', path: '/p', cause: 'text' })
  })

  test('codes and their fields are known to the compiler', () => {
    const check = (error: unknown): number | undefined => {
      if (P2PError.is(error, 'connection-closed')) return error.closeCode
      if (P2PError.is(error, 'stream-reset')) return error.streamCode
      return undefined
    }
    expect(check(P2PError.of('stream-reset', 'x', { streamCode: 4 }))).toBe(4)
    expectTypeOf<'nonsense'>().not.toExtend<P2PErrorCode>()
  })
})
