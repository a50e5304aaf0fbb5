/**
 * Targets of requests: paths and queries, percent-encoded.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'

/** Values of a query. A list becomes one pair a value; undefined is left out. */
export type P2PQueryInit = URLSearchParams | Readonly<Record<string, QueryValue | readonly QueryValue[] | undefined>>

type QueryValue = string | number | boolean

/** What may stand in a target as it is: no controls, no space, nothing beyond ASCII, no `#`, and `%` only before hex. */
const PLAIN_TARGET = /^\/(?:[!"$&-~]|%[0-9a-f]{2})*$/i
const UNSAFE = /%(?![0-9a-f]{2})|[^\x21\x22\x24-\x7e]+/gi

/**
 * The target of `path` with `query` behind its own. What a target may not hold is percent-encoded; what is
 * percent-encoded already stays so.
 *
 * @throws P2PError `invalid-configuration` when the path does not begin with `/`
 */
export function buildTarget(path: string, query?: P2PQueryInit): string {
  if (!path.startsWith('/')) throw invalidConfiguration('path', path, 'a path begins with "/"')
  const pairs = query === undefined ? '' : encodeQuery(query)
  const target = pairs === '' ? path : `${path}${path.includes('?') ? '&' : '?'}${pairs}`
  if (PLAIN_TARGET.test(target)) return target
  try {
    return target.replace(UNSAFE, (text) => encodeURIComponent(text))
  } catch {
    throw invalidConfiguration('path', path, 'it holds half a surrogate pair, which is no character')
  }
}

function encodeQuery(query: P2PQueryInit): string {
  if (query instanceof URLSearchParams) return query.toString()
  const pairs = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue
    if (typeof value === 'object') for (const one of value) pairs.append(name, String(one))
    else pairs.append(name, String(value))
  }
  return pairs.toString()
}

/** A path as routes are matched against it: each segment in the one percent-encoding that it can have. */
export function canonicalPath(path: string): string | undefined {
  // RFC 3986, 2.3: what needs no encoding, and what rou3 leaves alone.
  if (/^[A-Za-z0-9\-._~!$&'()*+,;=:@/]*$/.test(path)) return hasDotSegment(path) ? undefined : path
  try {
    const segments = path.split('/').map((segment) => encodeSegment(decodeURIComponent(segment)))
    const canonical = segments.join('/')
    return canonical.includes('%00') || hasDotSegment(canonical) ? undefined : canonical
  } catch {
    return undefined
  }
}

function encodeSegment(segment: string): string {
  return encodeURIComponent(segment).replace(/%(?:2[46BC]|3[ABD]|40)/g, (code) => decodeURIComponent(code))
}

/** `.` and `..` are for clients to resolve; a server that follows them serves what it did not mean to. */
function hasDotSegment(path: string): boolean {
  return path.includes('/.') && /\/\.\.?(?:\/|$)/.test(path)
}

/** The value of a param: each segment decoded. Undefined when decoding makes a `..` that leads out of a directory. */
export function decodeParam(value: string): string | undefined {
  if (!value.includes('%')) return value
  const decoded = decodeURIComponent(value)
  return /(?:^|[\\/])\.\.?(?:[\\/]|$)/.test(decoded) ? undefined : decoded
}
