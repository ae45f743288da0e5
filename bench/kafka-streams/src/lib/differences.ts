import type { Operator } from './scenario.ts'

/** Something in which Millrace differs from Kafka Streams on purpose, the reason, and what each says to a scenario. */
export interface Difference {
  readonly name: string
  readonly reason: string
  readonly operator: Operator
  /** As of `parseRecord`. */
  readonly records: readonly string[]
  /** As of `answerText`. */
  readonly kafkaStreams: readonly string[]
  readonly millrace: readonly string[]
}

export const DIFFERENCES: readonly Difference[] = [
  {
    name: 'session-last-moment',
    reason:
      "A session takes events until event time is past its end, gap and grace. Kafka Streams' store forgets it at that moment, one millisecond before the operator regards an event as late: the event is accepted, and the session that it belongs to is not found.",
    operator: { kind: 'session', gap: 10, grace: 0 },
    records: ['left a=1@0', 'left b=2@10', 'left a=3@5', 'left c=4@100'],
    kafkaStreams: [
      '0: a 0-0 1 @0',
      '1: b 10-10 2 @10',
      '2: a 5-5 3 @5',
      '3: c 100-100 4 @100',
      'closed 3: a 0-0 1 @0',
      'closed 3: a 5-5 3 @5',
      'closed 3: b 10-10 2 @10',
    ],
    millrace: [
      '0: a 0-0 1 @0',
      '1: b 10-10 2 @10',
      '2: a 0-5 1 3 @5',
      '3: c 100-100 4 @100',
      'closed 3: a 0-5 1 3 @5',
      'closed 3: b 10-10 2 @10',
    ],
  },
  {
    name: 'session-grows',
    reason:
      'Kafka Streams takes back a session that has grown, by a result without a value, since its results are the changelog of a table. Here, updates are a stream of what has changed.',
    operator: { kind: 'session', gap: 10, grace: 0 },
    records: ['left a=1@0', 'left a=2@5'],
    kafkaStreams: ['0: a 0-0 1 @0', '1: a 0-0 (gone) @0', '1: a 0-5 1 2 @5'],
    millrace: ['0: a 0-0 1 @0', '1: a 0-5 1 2 @5'],
  },
  {
    name: 'window-timestamps',
    reason:
      'An update has the timestamp of its event, and a closed window that of its last moment, so that hours can be built from minutes. Kafka Streams gives both the highest timestamp of the window.',
    operator: { kind: 'tumbling', size: 10, grace: 10 },
    records: ['left a=1@5', 'left a=2@3', 'left a=3@30'],
    kafkaStreams: ['0: a 0-10 1 @5', '1: a 0-10 1 2 @5', '2: a 30-40 3 @30', 'closed 2: a 0-10 1 2 @5'],
    millrace: ['0: a 0-10 1 @5', '1: a 0-10 1 2 @3', '2: a 30-40 3 @30', 'closed 2: a 0-10 1 2 @9'],
  },
  {
    name: 'sliding-late',
    reason:
      'An event is late for all of its sliding windows or for none: more than grace behind the watermark. Kafka Streams still counts it in those of its windows that are open and happen to be there, as its neighbours decide.',
    operator: { kind: 'sliding', difference: 20, grace: 5 },
    records: ['left a=1@100', 'left a=2@90', 'left a=3@110', 'left a=4@200'],
    kafkaStreams: [
      '0: a 80-100 1 @100',
      '1: a 80-100 1 2 @100',
      '1: a 91-111 1 @100',
      '2: a 91-111 1 3 @110',
      '2: a 101-121 3 @110',
      '2: a 90-110 1 2 3 @110',
      '3: a 180-200 4 @200',
      'closed 2: a 80-100 1 2 @100',
      'closed 3: a 90-110 1 2 3 @110',
      'closed 3: a 91-111 1 3 @110',
      'closed 3: a 101-121 3 @110',
    ],
    millrace: [
      '0: a 80-100 1 @100',
      '2: a 90-110 1 3 @110',
      '2: a 101-121 3 @110',
      '3: a 180-200 4 @200',
      'closed 2: a 80-100 1 @100',
      'closed 3: a 90-110 1 3 @110',
      'closed 3: a 101-121 3 @121',
      'late: 1',
    ],
  },
  {
    name: 'sliding-null',
    reason:
      'A record without a value is in sliding windows, as it is in all others, if its topic declares `tombstones`. Kafka Streams drops it there, and counts it in other windows.',
    operator: { kind: 'sliding', difference: 10, grace: 5 },
    records: ['left a=1@100', 'left a=null@105', 'left a=2@200'],
    kafkaStreams: ['0: a 90-100 1 @100', '2: a 190-200 2 @200', 'closed 2: a 90-100 1 @100', 'late: 1'],
    millrace: [
      '0: a 90-100 1 @100',
      '1: a 95-105 1 null @105',
      '1: a 101-111 null @105',
      '2: a 190-200 2 @200',
      'closed 2: a 90-100 1 @100',
      'closed 2: a 95-105 1 null @105',
      'closed 2: a 101-111 null @111',
    ],
  },
  {
    name: 'join-last-moment',
    reason:
      "Both ends of a span belong to it. Kafka Streams' store forgets an event one millisecond too early, if another key of its side has come as far: the pair is missing.",
    operator: { kind: 'stream-stream', join: 'inner', before: 0, after: 30, grace: 0 },
    records: ['left a=1@60', 'left b=2@90', 'right a=3@90'],
    kafkaStreams: [],
    millrace: ['2: a 1-3 @90'],
  },
  {
    name: 'join-slower-side',
    reason:
      'Event time of a join is that of its slower side. Kafka Streams goes by the faster one: while one topic is behind, it gives events alone that would still meet others, and forgets them.',
    operator: { kind: 'stream-stream', join: 'left', before: 10, after: 10, grace: 0 },
    records: ['left a=1@100', 'left b=2@200', 'right a=3@105', 'right b=4@300', 'left b=5@301'],
    kafkaStreams: ['1: a 1- @100', '3: b 2- @200', '4: b 5-4 @301'],
    millrace: ['2: a 1-3 @105', '4: b 5-4 @301', '4: b 2- @211'],
  },
  {
    name: 'join-late',
    reason:
      'An event that is beyond its own span and grace is late, on either side: it is counted, kept for the late topic and meets nothing. Kafka Streams drops it without counting it, or gives it alone.',
    operator: { kind: 'stream-stream', join: 'left', before: 0, after: 30, grace: 0 },
    records: ['left b=1@200', 'right b=2@201', 'left a=3@90', 'right a=4@110', 'left c=5@300', 'right c=6@302'],
    kafkaStreams: ['1: b 1-2 @201', '2: a 3- @90', '5: c 5-6 @302'],
    millrace: ['1: b 1-2 @201', '5: c 5-6 @302', 'late: 2', 'late: 3'],
  },
  {
    name: 'join-timestamps',
    reason:
      'A pair has the timestamp of the event that completes it, which is the later one but for disorder; an event alone has the moment at which it was given up, since its own time is over for what comes next. Kafka Streams gives a pair the later time, and an event alone its own.',
    operator: { kind: 'stream-stream', join: 'left', before: 50, after: 50, grace: 50 },
    records: ['left a=1@100', 'right a=2@80', 'left b=3@110', 'left c=4@300', 'right c=5@301'],
    kafkaStreams: ['1: a 1-2 @100', '3: b 3- @110', '4: c 4-5 @301'],
    millrace: ['1: a 1-2 @80', '4: c 4-5 @301', '4: b 3- @211'],
  },
  {
    name: 'table-join-null',
    reason:
      'A topic hands out records without a value only if it declares `tombstones`. Where it does, they are values like others, and meet rows. Kafka Streams drops them in joins with tables.',
    operator: { kind: 'stream-table', join: 'left', on: false },
    records: ['right a=1@100', 'left a=null@110', 'left b=null@120'],
    kafkaStreams: [],
    millrace: ['1: a -1 @110', '2: b - @120'],
  },
  {
    name: 'table-table-timestamps',
    reason:
      'A change of a joined table has the timestamp of the event that made it. Kafka Streams gives it the later one of both rows, though that change may not have been possible before.',
    operator: { kind: 'table-table', join: 'inner' },
    records: ['left a=1@100', 'right a=2@80'],
    kafkaStreams: ['1: a 1-2 @100'],
    millrace: ['1: a 1-2 @80'],
  },
  {
    name: 'table-table-repeats',
    reason:
      'A joined table sends what has changed, and a record without a value only where a row was. Kafka Streams deletes rows that never were, and repeats a row when nothing is deleted on the other side.',
    operator: { kind: 'table-table', join: 'left' },
    records: ['right a=1@100', 'left a=null@110', 'left b=2@120', 'right b=null@130'],
    kafkaStreams: ['1: a (gone) @110', '2: b 2- @120', '3: b 2- @130'],
    millrace: ['2: b 2- @120'],
  },
  {
    name: 'foreign-key-repeats',
    reason:
      'The same holds for a join by a key in the rows: a row that never met anything is deleted again and again by Kafka Streams.',
    operator: { kind: 'foreign-key', join: 'inner' },
    records: ['left a=x/1@100', 'left a=y/2@110', 'right y=null@120', 'right y=3@130'],
    kafkaStreams: ['1: a (gone) @110', '2: a (gone) @120', '3: a y/2-3 @130'],
    millrace: ['3: a y/2-3 @130'],
  },
]
