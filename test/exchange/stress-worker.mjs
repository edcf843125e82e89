// One slot of the two-thread stress: routes rows to both slots by hash, reads its own, parks on its doorbell. From dist/.
import { parentPort, workerData } from 'node:worker_threads';
import { prng } from '../../dist/core/base/prng.js';
import { Progress } from '../../dist/core/operators/operator.js';
import { batch } from '../../dist/core/record/batch.js';
import { slotMemory } from '../../dist/core/record/memory.js';
import { loadKernels } from '../../dist/kernels/load.js';
import { exchangeContext } from '../../dist/workers/exchange/context.js';
import { createGate, GateEvent } from '../../dist/workers/exchange/gate.js';
import { createRouter } from '../../dist/workers/exchange/router.js';

const { plan, inboxes, slot, memories, batches, batchRows, seed } = workerData;
const random = prng(seed * 31 + slot);
const inbox = inboxes.inboxes[slot];
const memory = slotMemory(memories[slot], inbox.from + inbox.bytes, memories[slot].buffer.byteLength);
let id = 1;
const context = exchangeContext({
  plan,
  inboxes,
  participant: slot,
  buffers: [...memories.map((m) => m.buffer), null],
  memory,
  kernels: loadKernels(memory),
  attempt: 1,
  hashSeed: 5n,
  batchRows,
  nextDictionaryId: () => id++,
  poison: true,
});
const router = createRouter(context, plan.edges[0], slot);
const gate = createGate(context, plan.chains[1], slot);
const { layout } = plan.edges[0];

/** What a row must say: from whom, which, a checksum over both, and a string of a length and letters that follow from them. */
const checksum = (from, n) => (Math.imul(n + 1, 0x9e3779b1) ^ Math.imul(from + 7, 0x85ebca6b)) | 0;
const lengthOf = (sum) => (sum >>> 3) % (sum % 97 === 0 ? 3000 : 40);
const values = [8, 4, 4, 16].map((bytes) => memory.arena.allocate(bytes * batchRows, 'a batch'));
const text = memory.arena.allocate(3000 * batchRows, 'strings');

let sequence = 0;
function makeBatch() {
  const rows = 1 + random.below(batchRows);
  let at = text;
  for (let i = 0; i < rows; i++) {
    const n = sequence++;
    const sum = checksum(slot, n);
    memory.i64[(values[0] >>> 3) + i] = BigInt(n);
    memory.i32[(values[1] >>> 2) + i] = slot;
    memory.i32[(values[2] >>> 2) + i] = sum;
    const view = values[3] + i * 16;
    const length = lengthOf(sum);
    memory.u8.fill(0, view, view + 16);
    memory.u32[view >>> 2] = length;
    const to = length <= 12 ? view + 4 : at;
    memory.u8.fill(sum & 0x7f, to, to + length);
    if (length > 12) {
      memory.u8.fill(sum & 0x7f, view + 4, view + 8);
      memory.u32[(view + 12) >>> 2] = at;
      at += length;
    }
  }
  return batch(
    layout,
    rows,
    values.map((address) => ({ validity: 0, values: address, dictionary: null })),
  );
}

const received = [0, 0];
const last = [-1, -1];
let barriers = 0;
let watermarkMs = 0;
function readBatch(from) {
  const column = from.columns.map((c) => c.values);
  for (let i = 0; i < from.size; i++) {
    const n = Number(memory.i64[(column[0] >>> 3) + i]);
    const producer = memory.i32[(column[1] >>> 2) + i];
    const sum = memory.i32[(column[2] >>> 2) + i];
    if (sum !== checksum(producer, n)) throw new Error(`row ${n} of ${producer}: checksum ${sum}`);
    if (n <= last[producer]) throw new Error(`row ${n} of ${producer} behind ${last[producer]}`);
    last[producer] = n;
    received[producer]++;
    const view = column[3] + i * 16;
    const length = memory.u32[view >>> 2];
    if (length !== lengthOf(sum)) throw new Error(`row ${n} of ${producer}: a string of ${length} bytes`);
    const at = length <= 12 ? view + 4 : memory.u32[(view + 12) >>> 2];
    for (let b = at; b < at + length; b++)
      if (memory.u8[b] !== (sum & 0x7f)) throw new Error(`row ${n} of ${producer}: a wrong letter`);
  }
}

const counts = { parks: 0, blocked: 0 };
let left = batches;
let stage = 'rows';
let pending = false;
let sent = 0;
function send() {
  if (stage === 'ended') return false;
  let progress;
  if (pending) progress = router.resume();
  else if (stage === 'rows' && left === 0) {
    stage = 'ending';
    progress = router.end();
  } else if (stage === 'rows' && sent % 20 === 19) {
    sent++;
    stage = 'flushing';
    router.watermark(sent);
    progress = router.flush();
  } else if (stage === 'flushing') {
    stage = 'barrier';
    progress = router.barrier(sent);
  } else {
    stage = 'rows';
    left--;
    sent++;
    progress = router.emit(makeBatch());
  }
  pending = progress === Progress.more;
  if (pending) counts.blocked++;
  else if (stage === 'ending') stage = 'ended';
  else if (stage === 'barrier') stage = 'rows';
  return !pending;
}

let ended = false;
let holding = false;
function receive() {
  if (ended) return false;
  if (holding) {
    readBatch(gate.batch);
    gate.release();
    holding = false;
    return true;
  }
  switch (gate.poll()) {
    case GateEvent.batch:
      holding = true;
      return true;
    case GateEvent.watermark:
      if (gate.watermarkMs <= watermarkMs) throw new Error('a watermark went back');
      watermarkMs = gate.watermarkMs;
      return true;
    case GateEvent.barrier:
      barriers++;
      return true;
    case GateEvent.end:
      ended = true;
      return true;
    default:
      return false;
  }
}

const handle = setInterval(() => {}, 1 << 30);
while (!ended || stage !== 'ended') {
  context.doorbell.arm();
  let moved = false;
  // Turns of random length on either side, so that each is sometimes far ahead.
  for (let i = random.below(6); i > 0; i--) moved = send() || moved;
  for (let i = random.below(6); i > 0; i--) moved = receive() || moved;
  if (!moved) {
    moved = send() || moved;
    moved = receive() || moved;
  }
  if (random.below(50) === 0) await new Promise((resolve) => setTimeout(resolve, random.below(3)));
  if (moved) continue;
  const asleep = context.doorbell.park();
  if (asleep) {
    counts.parks++;
    await asleep;
  }
}
clearInterval(handle);
parentPort.postMessage({ sentRows: router.rows, received, barriers, ...counts });
