// Preloaded with --import: the process takes its output for a terminal.
for (const stream of [process.stdout, process.stderr]) {
  stream.isTTY = true;
  stream.rows = 40;
  stream.columns = 120;
}
