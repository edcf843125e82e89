/** The coordinator's thread: started with the first job of a process, it outlives jobs and does not keep Node alive. */
import { parentPort } from 'node:worker_threads';
import { SlotPool } from '../workers/pool.ts';
import { Coordinator } from './coordinator.ts';
import type { FromCoordinator, ToCoordinator } from './messages.ts';

const port = parentPort!;
const pool = new SlotPool(new URL('./worker-main.js', import.meta.url).href);
const coordinator = new Coordinator(pool, (message: FromCoordinator) => port.postMessage(message));
port.on('message', (message: ToCoordinator) => coordinator.receive(message));
