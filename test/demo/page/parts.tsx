import { formatBaseUnits } from '../../../core/contract/money.ts';
import type { Story } from '../story.ts';
import { say } from '../words.ts';

/** Every process and address, one click deeper. */
export function Parts({ story }: { story: Story }): React.ReactNode {
  const { processes, settlement, machines } = story;
  const facts: [string, string][] = processes.map(({ name, pid, command }) => [
    name,
    [command, ...(pid === null ? [] : [say('parts.process', { pid: String(pid) })])].join(' · '),
  ]);
  if (settlement !== null) {
    const { network, contract, chainId, deposit, decimals, symbol } = settlement;
    facts.push([say('parts.network'), network], [say('parts.chain'), String(chainId)], [say('parts.escrow'), contract]);
    facts.push([say('parts.deposit'), `${formatBaseUnits(BigInt(deposit), decimals)} ${symbol}`]);
  }
  for (const { name, worker, wallet } of machines) {
    if (worker !== null) facts.push([say('parts.worker', { machine: name }), worker]);
    if (wallet !== null) facts.push([say('parts.wallet', { machine: name }), wallet]);
  }
  return (
    <details className="parts">
      <summary>{say('parts')}</summary>
      <dl className="facts">
        {facts.map(([name, value]) => (
          <div className="fact" key={name}>
            <dt>{name}</dt>
            <dd className="mono">{value}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
