import { eventually } from '@millrace/conformance'
import type { Logger } from '@millrace/core'
import { expect, test } from 'vitest'
import { BrokerLinks } from '../cluster/broker-links.ts'
import { ClusterView, parseAddress } from '../cluster/cluster-view.ts'
import { CoordinatorLink } from '../cluster/coordinator.ts'
import { Reconnects } from '../cluster/reconnects.ts'
import { kafkaSettings } from '../kafka-transport-options.ts'
import { BrokerHealth } from '../kafkajs/broker-health.ts'
import { memberOptions } from '../member-options.fixture.ts'
import { answerMetadata, impatientClock, scriptedBroker, type ScriptedBroker } from '../scripted-broker.fixture.ts'
import { GroupSession } from './group-session.ts'

const NOT_COORDINATOR = 16
const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

test('a coordinator that denies being one is looked up again, and the next heartbeat goes to the new one', async () => {
  const brokers: ScriptedBroker[] = []
  const heard = { old: 0, new: 0 }
  let moved = false
  await using old = await scriptedBroker(1, {
    metadata: (_, answer) => answerMetadata(answer, brokers),
    findCoordinator: (_, answer) => {
      const { nodeId, port } = moved ? next : old
      answer.int32(0).int16(0).string(null).int32(nodeId).string('127.0.0.1').int32(port)
    },
    heartbeat: (_, answer) => {
      heard.old++
      answer.int32(0).int16(moved ? NOT_COORDINATOR : 0)
    },
  })
  await using next = await scriptedBroker(2, {
    heartbeat: (_, answer) => {
      heard.new++
      answer.int32(0).int16(0)
    },
  })
  brokers.push(old, next)
  const deps = { clock: impatientClock(), log: silent }
  const settings = kafkaSettings({ brokers: [old.address], clientId: 'member' })
  const linkDeps = { ...deps, health: new BrokerHealth(deps) }
  const links = new BrokerLinks(settings, linkDeps)
  const view = new ClusterView(links, settings.brokers.map(parseAddress), deps.clock)
  const closing = new AbortController()
  const session = new GroupSession(
    { groupId: 'g', generation: 1, memberId: 'm', instanceId: undefined },
    deps.clock.monotonic(),
    {
      ...deps,
      settings,
      view,
      reconnects: new Reconnects(view, linkDeps),
      control: links,
      openLinks: () => links,
      codecs: () => ({}),
      onClosed: () => {},
      options: memberOptions('t', () => ({ assignments: new Map(), groupData: Buffer.alloc(0) })),
      coordinator: new CoordinatorLink('group', 'g', { view, links }),
      signal: closing.signal,
    },
  )
  try {
    await eventually(() => heard.old > 1, { what: 'heartbeats' })
    moved = true
    const { old: before } = heard
    const { lastHeartbeatMs } = session
    await eventually(() => heard.new > 0, { what: 'a heartbeat at the new coordinator', limitMs: 5_000 })
    await eventually(() => session.lastHeartbeatMs > lastHeartbeatMs, { what: 'it to count' })
    // One heartbeat that was under way, and the one that got the answer.
    expect(heard.old - before).toBeLessThanOrEqual(2)
  } finally {
    closing.abort(new Error('The test is over.'))
    session.stop()
    links.close()
  }
})
