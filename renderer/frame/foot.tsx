import { type MessageKey, message } from '../../core/contract/messages.ts';
import type { Settings } from '../../core/contract/settings.ts';
import type { Snapshot } from '../../core/contract/snapshot.ts';
import { useAgent } from '../agent/agent.ts';
import { shortAddress } from '../words/plain.ts';
import { CopyButton } from './copy-button.tsx';

const THEMES: Array<{ theme: Settings['theme']; name: MessageKey }> = [
  { theme: 'system', name: 'screen.theme.system' },
  { theme: 'light', name: 'screen.theme.light' },
  { theme: 'dark', name: 'screen.theme.dark' },
];

export function Foot({ snapshot, theme }: { snapshot: Snapshot | null; theme: Settings['theme'] }): React.ReactNode {
  const agent = useAgent();
  if (snapshot === null) return null;
  return (
    <footer className="foot">
      <fieldset className="themes">
        <legend className="hidden">{message('screen.theme')}</legend>
        {THEMES.map((each) => (
          <label key={each.theme}>
            <input type="radio" name="theme" checked={each.theme === theme} onChange={() => void agent.chooseTheme(each.theme)} />
            {message(each.name)}
          </label>
        ))}
      </fieldset>
      <div>
        <div className="worker">
          <span title={snapshot.worker.address}>
            {message('screen.worker')} <span className="mono">{shortAddress(snapshot.worker.address)}</span>
          </span>
          <CopyButton text={snapshot.worker.address} what="screen.copy.worker" />
        </div>
        <div>{message('screen.version', { version: snapshot.version })}</div>
      </div>
    </footer>
  );
}
