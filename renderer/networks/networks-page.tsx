import { useEffect, useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import type { NetworkRow } from '../../core/contract/networks.ts';
import { useAgent } from '../agent/agent.ts';
import type { AppState } from '../agent/app-state.ts';
import { takeInvitation } from '../frame/use-route.ts';
import { networksHeadline } from './headline.ts';
import { Join } from './join.tsx';
import { Nearby } from './nearby.tsx';
import { NetworkCard } from './network-card.tsx';

/** Which networks do I work for, and how do they stand? */
export function NetworksPage({ state: { networks, link } }: { state: AppState }): React.ReactNode {
  const agent = useAgent();
  const [invitation, setInvitation] = useState('');
  const live = link.name === 'live';
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked again when the connection is there again
  useEffect(() => void agent.networks.refresh(), [live]);
  // An invitation that was followed in the desktop app stands in the address, where history would keep it.
  useEffect(() => {
    const take = () => {
      const text = takeInvitation();
      if (text !== null) setInvitation(text);
    };
    take();
    addEventListener('hashchange', take);
    return () => removeEventListener('hashchange', take);
  }, []);
  if (networks === null) return <h1 role="status">{message('networks.looking')}</h1>;
  const { title, why } = networksHeadline(networks);
  const [joined, own] = [networks.filter(({ terms }) => terms !== null), networks.filter(({ terms }) => terms === null)];
  return (
    <div className="networks">
      <div>
        <h1>{title}</h1>
        <p className="why">{why}</p>
      </div>
      <Cards networks={joined} />
      <Join key={invitation} invitation={invitation} />
      <Nearby />
      <Cards networks={own} />
    </div>
  );
}

function Cards({ networks }: { networks: readonly NetworkRow[] }): React.ReactNode {
  return networks.map((network) => <NetworkCard key={network.id} network={network} />);
}
