import { appPorts } from '../../cli/ports/app-ports.ts';
import { findInstallation } from '../../cli/ports/installation.ts';
import { createApp } from '../../core/app.ts';
import { verifyBooks } from '../endurance/agent.ts';
import { checks, type Finding } from './finding.ts';

const DAY_MS = 86_400_000;
const JUMPS_MS = [3_600_000, -3_600_000, DAY_MS, -DAY_MS, 3650 * DAY_MS, -3650 * DAY_MS, 400, -400];
const JUMP_EVERY_SHARDS = 4;

/** The wall clock jumps to and fro while shards are computed: none is lost, and the books stay whole. */
export async function tortureByClock(dataDir: string, shards: number): Promise<Finding> {
  const { wrong, expect } = checks();
  let offsetMs = 0;
  let jumps = 0;
  const ports = appPorts({ dataDir, installation: findInstallation(import.meta.filename) });
  const app = await createApp({ ...ports, clock: () => Date.now() + offsetMs });
  let counted = 0;
  app.events((event) => {
    if (event.event !== 'changed' || event.data.recent === undefined) return;
    counted += 1;
    if (counted % JUMP_EVERY_SHARDS !== 0) return;
    offsetMs += JUMPS_MS[jumps % JUMPS_MS.length] as number;
    jumps += 1;
  });
  await app.start({ shards, networks: ['local'] });
  const { accepted } = await app.finished;
  expect(accepted >= shards, `${accepted} of ${shards} shards were accepted`);
  expect(jumps > 0, 'the clock never jumped');
  const verified = await verifyBooks(dataDir);
  expect(verified.code === 0 && verified.result.ok === true, `the ledger is broken: ${JSON.stringify(verified.result.problems?.[0])}`);
  return { did: `${jumps} jumps of the clock, up to ten years either way, during ${accepted} shards`, wrong };
}
