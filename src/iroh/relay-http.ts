/**
 * Asking relays over HTTP, with the authorities that were given for them.
 *
 * @module
 */
import { get as getPlain } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { get as getSecure } from 'node:https'
import { rootCertificates } from 'node:tls'
import { P2PError } from '../core/errors.ts'
import type { Runtime } from '../core/runtime.ts'

/** Answers that are larger are not read to their end. */
const MAX_BODY_BYTES = 16_384
const MAX_HEADER_BYTES = 8_192

/** What asking needs. */
export interface RelayHttp {
  readonly runtime: Runtime
  /** Authorities besides the usual ones, in DER. */
  readonly roots: readonly Uint8Array[]
}

/** What a relay has answered. */
export interface RelayAnswer {
  readonly status: number
  readonly body: string
  /** From the request on a connection that stands to the head of the answer, in milliseconds: one round trip. */
  readonly tookMs: number
}

function pem(der: Uint8Array): string {
  return `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`
}

/** What is wrong with a relay, by the code of the failure. */
function reasonOf(error: NodeJS.ErrnoException): string {
  const { code = '', message } = error
  switch (code) {
    case 'ECONNREFUSED':
      return 'nobody listens there'
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'its name is unknown'
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
      return 'there is no way to it'
    case 'ECONNRESET':
      return 'it ended the connection'
    case 'CERT_HAS_EXPIRED':
      return 'its certificate has expired'
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return 'its certificate is for another name'
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return 'its certificate is of an authority that is not trusted; see relayRoots'
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'EPROTO':
      return 'it does not speak https'
    case 'HPE_INVALID_CONSTANT':
      return 'it does not speak http'
    default:
      return message
  }
}

/**
 * Gets `path` from the relay at `url`; redirects are not followed.
 *
 * @throws P2PError `network`, which says why; `timeout`; `aborted`
 */
export async function getFromRelay(
  { runtime, roots }: RelayHttp,
  url: string,
  path: string,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<RelayAnswer> {
  if (signal?.aborted) throw P2PError.aborted(signal, 'asking a relay')
  const target = new URL(path, url)
  const extra = roots.length > 0 ? { ca: [...rootCertificates, ...roots.map(pem)] } : {}
  return new Promise((resolve, reject) => {
    let startMs = runtime.now()
    const options = { agent: false, maxHeaderSize: MAX_HEADER_BYTES, headers: { connection: 'close' } }
    const request =
      target.protocol === 'https:' ? getSecure(target, { ...options, ...extra }) : getPlain(target, options)
    const settle = (): void => {
      timer.cancel()
      signal?.removeEventListener('abort', abort)
      request.destroy()
    }
    const fail = (error: P2PError): void => {
      settle()
      reject(error)
    }
    const timer = runtime.setTimer(timeoutMs, () => {
      const message = `the relay at ${url} does not answer within ${timeoutMs} ms`
      fail(P2PError.of('timeout', message, { afterMs: timeoutMs }))
    })
    const abort = (): void => {
      if (signal) fail(P2PError.aborted(signal, 'asking a relay'))
    }
    signal?.addEventListener('abort', abort, { once: true })
    request.once('socket', (socket) => {
      const event = target.protocol === 'https:' ? 'secureConnect' : 'connect'
      socket.once(event, () => {
        startMs = runtime.now()
      })
    })
    request.on('error', (cause: NodeJS.ErrnoException) => {
      fail(P2PError.of('network', `the relay at ${url} cannot be reached: ${reasonOf(cause)}`, {}, { cause }))
    })
    request.on('response', (answer: IncomingMessage) => {
      const tookMs = runtime.now() - startMs
      const chunks: Buffer[] = []
      let bytes = 0
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes <= MAX_BODY_BYTES) chunks.push(chunk)
        else fail(P2PError.of('protocol', `the relay at ${url} answers with more than ${MAX_BODY_BYTES} bytes`, {}))
      })
      answer.on('end', () => {
        settle()
        resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8'), tookMs })
      })
      answer.on('error', (cause: Error) => {
        fail(P2PError.of('network', `the relay at ${url} ended its answer early`, {}, { cause }))
      })
    })
  })
}
