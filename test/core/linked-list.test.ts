import { expect, test } from 'vitest'
import { LinkedList } from '../../src/core/linked-list.ts'
import type { Linked } from '../../src/core/linked-list.ts'
import { randomStream } from '../../src/simulator/random.ts'

class Member implements Linked<Member> {
  older: Member | undefined
  newer: Member | undefined
}

test('a linked list holds its members in order, and what has left refers to nothing', () => {
  const random = randomStream(1n, 'linked-list')
  const list = new LinkedList<Member>()
  const set = new Set<Member>()
  const all = Array.from({ length: 20 }, () => new Member())
  for (let step = 0; step < 4000; step++) {
    const member = all[random.nextBelow(all.length)] as Member
    if (set.has(member) || random.nextBelow(4) === 0) {
      list.delete(member)
      set.delete(member)
    } else {
      list.push(member)
      set.add(member)
    }
    const outside = all.filter((other) => !set.has(other))
    expect(outside.every(({ older, newer }) => !older && !newer)).toBe(true)
    expect(list.members()).toEqual([...set])
    expect(list.size).toBe(set.size)
    expect(list.oldest).toBe([...set][0])
  }
})
