/** Ends this process when the one that started it is gone, however that ended: its end of our input is closed then. */
export function endWithParent(): void {
  process.stdin.on('end', () => process.exit(1))
  process.stdin.resume()
  process.stdin.unref()
}
