/**
 * An answer as the one who asked sees it.
 *
 * @module
 */
import type { P2PNodeId } from '../core/node-id.ts'
import type { P2PBody } from './body.ts'
import type { P2PHeaders } from './headers.ts'

/** What a response is made of. */
export interface P2PClientResponseParts {
  readonly status: number
  readonly headers: P2PHeaders
  readonly body: P2PBody
  readonly remoteNodeId: P2PNodeId
}

/**
 * An answer: status and headers are here, the body comes as it is read. Read it, `cancel` it, or dispose of the answer:
 * a long body that nobody reads keeps its place among the requests in flight.
 */
export class P2PClientResponse implements Disposable {
  /** 200 to 599. */
  readonly status: number
  readonly headers: P2PHeaders
  readonly body: P2PBody
  /** Who answered. */
  readonly remoteNodeId: P2PNodeId

  /** Responses come from `request`. */
  constructor(parts: P2PClientResponseParts) {
    this.status = parts.status
    this.headers = parts.headers
    this.body = parts.body
    this.remoteNodeId = parts.remoteNodeId
  }

  /** Whether the status is 200 to 299. */
  get ok(): boolean {
    return this.status < 300
  }

  /** The whole body. @throws P2PError `limit-exceeded` over `limitBytes`, and as {@link P2PBody.read} */
  bytes(limitBytes?: number): Promise<Uint8Array> {
    return this.body.bytes(limitBytes)
  }

  /** The whole body as UTF-8. @throws P2PError as `bytes` */
  text(limitBytes?: number): Promise<string> {
    return this.body.text(limitBytes)
  }

  /** The whole body as JSON. @throws P2PError `serialization` when it is none, and as `bytes` */
  json(limitBytes?: number): Promise<unknown> {
    return this.body.json(limitBytes)
  }

  /** Wants no more of the body. Does nothing when all of it has arrived. */
  cancel(): void {
    this.body.cancel()
  }

  [Symbol.dispose](): void {
    this.cancel()
  }
}
