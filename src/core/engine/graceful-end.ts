/**
 * How a connection ends without loss: this side says END and what it has sent, the peer reads all of it and says
 * DRAINED, and whoever began closes. On other protocols than ours, where nothing of this can be said, the transport
 * confirms delivery where it can.
 *
 * @module
 */
import type { CarrierConnection } from '../carrier.ts'
import type { P2PError } from '../errors.ts'
import type { ControlChannel } from './control.ts'
import type { Ending } from './ending.ts'
import type { Inbound } from './inbound.ts'
import type { MessageReceiver, MessageSender } from './messages.ts'
import type { StreamTable } from './streams.ts'
import type { ControlFrame } from './wire.ts'
import { LIBRARY_CODE } from './wire.ts'

/** The parts of a connection that have to come to their end. */
export interface EndedParts {
  readonly carrier: CarrierConnection
  readonly ours: boolean
  readonly confirmsDelivery: boolean
  readonly ending: Ending
  readonly control: ControlChannel
  readonly streams: StreamTable
  readonly sender: MessageSender
  readonly receiver: MessageReceiver
  readonly inbound: Inbound
  /** Whether the connection is over. */
  readonly isOver: () => boolean
  /** Why nothing follows. */
  readonly endError: () => P2PError
}

/** The end of one connection. */
export class GracefulEnd {
  readonly #parts: EndedParts

  constructor(parts: EndedParts) {
    this.#parts = parts
  }

  /**
   * Ends the connection and closes it.
   *
   * @throws P2PError `delivery-unconfirmed`
   */
  async run(): Promise<void> {
    const { carrier, ending, receiver, sender, streams } = this.#parts
    // What the peer still sends must not wait for a reader who has left.
    receiver.drain()
    streams.drainAll()
    const confirmed = await this.#sayEnd()
    if (confirmed) await ending.settleDebt()
    const { refused } = sender
    if (this.#parts.ours) carrier.close(ending.drainedSent ? LIBRARY_CODE.drained : LIBRARY_CODE.ended, 'ended')
    else carrier.close(0, '')
    if (!confirmed) throw ending.unconfirmed()
    if (refused) throw ending.refused(refused)
  }

  /** The peer has said END. */
  onPeerEnd(frame: ControlFrame & { readonly type: 'end' }): void {
    const { carrier, ending, endError, receiver, streams } = this.#parts
    ending.remoteEnded(frame)
    // Nothing new can be started here either, so this side says END too, before its DRAINED: the peer, which will
    // close, knows then that there is more to drain and loses none of it. Streams that are still being written would
    // hold it up; the close would cut them, so they are cut now.
    streams.cutUnfinished(endError())
    void this.#sayEnd()
    streams.drainAll()
    receiver.drain()
    this.checkDrained()
    ending.expectClose(() => carrier.close(LIBRARY_CODE.ended, 'the peer ended, and did not close in time'))
  }

  /** Memory that was granted for what arrives meanwhile is free again. */
  returnDrainBytes(bytes: number): void {
    const { ending, receiver, streams } = this.#parts
    ending.returned(bytes)
    if (ending.begun) {
      streams.drainAll()
      receiver.drain()
    }
  }

  /** Says DRAINED once everything that the peer's END announced has arrived. */
  checkDrained(): void {
    const announced = this.#parts.ending.remoteEnd
    if (!announced) return
    const { control, ending, isOver, receiver, streams } = this.#parts
    if (ending.drainedSent || isOver()) return
    if (announced.messages && !receiver.done) return
    if (!streams.drained(announced.streams)) return
    ending.sentDrained()
    control.send({ type: 'drained' }).catch(() => {})
  }

  /** Finishes everything and says so; resolves with whether the peer confirmed that it has arrived. */
  #sayEnd(): Promise<boolean> {
    const { confirmsDelivery, control, ending, inbound, ours, sender, streams } = this.#parts
    return ending.begin(async () => {
      // First, so that the peer makes room for what it holds up. It has to wait for this and no more: nothing can be
      // added once this side is ending.
      const announced = ours && control.send({ type: 'end', streams: streams.opened, messages: sender.used })
      // Nobody has taken these, so nobody has answered them.
      for (const stream of inbound.waiting()) stream.refuseAnswer(ours ? LIBRARY_CODE.ended : 0)
      // Messages that the peer refused do not keep the rest from arriving.
      await Promise.all([announced, sender.finish().catch(() => {}), streams.finishAll()])
      if (ours || !confirmsDelivery) return
      if (await streams.delivered()) ending.confirm()
    })
  }
}
