/** A slot's thread: what Piscina runs. Its loop outlives jobs; deployments arrive over the port it is given. */
import type { MessagePort } from 'node:worker_threads';
import { systemClock } from './clock.ts';
import { realDisk } from './disk.ts';
import { collectGarbage } from './garbage.ts';
import type { FromParticipant, ToThread } from './messages.ts';
import { Participant } from './participant.ts';

export default function slotThread(port: MessagePort): Promise<void> {
  let participant: Participant | null = null;
  const post = (answer: FromParticipant): void => {
    // Nothing of a job that is over is held here: its memory is another job's now, or nobody's.
    if ((answer.kind === 'finished' && answer.part !== null) || answer.kind === 'released') participant = null;
    port.postMessage(answer);
  };
  port.on('message', (message: ToThread) => {
    if (message.kind === 'trim') collectGarbage();
    else if (message.kind === 'deploy') {
      const { resources } = message.deployment;
      const resource = (id: string): unknown => resources.get(id);
      participant = Participant.create(
        message.deployment,
        { clock: systemClock, disk: realDisk, functions: null, resource },
        post,
      );
      void participant?.deploy();
    } else if (participant) participant.receive(message);
    else if (message.kind === 'cancel') post({ kind: 'released' });
  });
  // The port keeps the thread alive, and this promise the Piscina task: for ever, until the pool ends the thread.
  return new Promise(() => {});
}
