import { markdownTable } from './markdown-table.ts'
import { FURTHER_GRANTS, operationsOf, WORKER_GRANTS, type Grant } from './rights.ts'

/** `docs/reference/rights.md`: what an app must be allowed on a broker with an authorizer. */
export function rightsPage(): string {
  return `# Rights on the broker

Generated from the requests that the Kafka driver sends, in \`scripts/docs/rights.ts\`; run \`node --import tsx scripts/generate-docs.ts\` after a change there.

Where an authorizer is on, a worker needs these. The app here has the id \`shop\`, reads \`orders\` and writes \`totals\`. Kafka gives Describe with Read, Write and Delete. No right on the cluster is needed.

${table(WORKER_GRANTS)}
As commands, for the user \`shop\` (\`User:CN=…\` with certificates of clients):

\`\`\`sh
${WORKER_GRANTS.map(command).join('\n')}
\`\`\`

The prefix \`shop-\` is also that of the topics of an app called \`shop-eu\`: choose ids of which none begins with another and a dash.

A right that is missing is an error that names the topic, group or transactional id and the right, \`NOT_AUTHORIZED\`. Kafka does not show a topic that a client may not see, so without any right on it a topic is missing or is to be created.

## What only some need

${table(FURTHER_GRANTS)}
Without DescribeConfigs on its changelogs a worker runs, and warns that it cannot see whether they are compacted. Without Delete on its repartition topics it runs, and warns that what it has read there takes room.

## Workers that may not create topics

There is no setting that keeps an app from creating any topic. What there is:

- \`app.topic('orders', { create: false })\`: the app never creates this one, and stops with \`TOPIC_MISSING\` where it is missing. A topic that is there is never changed.
- Topics with its prefix are always created where they are missing. To do without Create on them make them beforehand: with the partition counts and settings that \`millrace topics\` lists after a run elsewhere. Then a worker that finds them asks for nothing.
- Without Create, and with a topic missing, the worker stops with \`NOT_AUTHORIZED\` and names the topic.
`
}

function table(grants: readonly Grant[]): string {
  const rows = grants.map((grant) => [
    `${grant.kind.replace('-', ' ')}: ${grant.what}`,
    `\`${grant.name}\`${grant.prefixed ? ', as prefix' : ''}`,
    operationsOf(grant).join(', '),
    grant.why,
  ])
  return markdownTable(['On', 'Here', 'Operations', 'For'], rows)
}

function command(grant: Grant): string {
  const operations = operationsOf(grant).map((operation) => `--operation ${operation}`)
  const pattern = grant.prefixed ? ' --resource-pattern-type prefixed' : ''
  return `kafka-acls --bootstrap-server kafka:9092 --command-config admin.properties --add --allow-principal User:shop \\
  ${operations.join(' ')}${pattern} --${grant.kind} ${grant.name}`
}
