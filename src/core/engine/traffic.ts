/**
 * What has crossed a connection, counted.
 *
 * @module
 */

/** The counters of one connection, for all handles. Payload only, without the library's framing. */
export class Traffic {
  messagesSent = 0
  messagesReceived = 0
  bytesSent = 0
  bytesReceived = 0

  messageSent(bytes: number): void {
    this.messagesSent++
    this.bytesSent += bytes
  }

  messageReceived(bytes: number): void {
    this.messagesReceived++
    this.bytesReceived += bytes
  }
}
