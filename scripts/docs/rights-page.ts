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
Without DescribeConfigs on its changelogs a worker runs, and warns that it cannot see whether they are compacted. Without Delete on its repartition topics it runs, and warns that what it has read there takes room. Without Write on its transactional ids a worker runs at least once, warns, and runs no jobs of the leader. Without any other of the rights above it ends with the error, and goes on where it was once the right is there: each of them is taken away in a test.

## Workers that may not create topics

With \`topics: { create: false }\` (\`MILLRACE_TOPICS_CREATE=false\`, \`--no-topics-create\`) an app creates no topic, neither those that the app file names nor its own, and asks the broker for none by looking it up. A worker that misses some stops with \`TOPIC_MISSING\` and names all of them at once, each with the \`kafka-topics.sh\` command that creates it with its partition count and settings. Start one on a broker of your own to see the commands. Three topics are wanted by some apps only, and named then: \`shop-replies\` by \`ask\`, \`map\` and \`join\`, \`shop-__replays\` by replays of dead letters, and \`shop-__progress\` exactly once, where many agents read one topic or many events of one partition are in flight. Such an app needs no Create.

- \`app.topic('orders', { create: false })\`: the app never creates this one, and stops with \`TOPIC_MISSING\` where it is missing. A topic that is there is never changed.
- \`millrace reset\` deletes topics of the app, also of one that may not create them: create them again with the commands that the next start names.
- Without the setting, without Create, and with a topic missing, the worker stops with \`NOT_AUTHORIZED\` and names the topic.
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
