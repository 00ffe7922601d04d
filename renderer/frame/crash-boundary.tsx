import { Component } from 'react';
import { message } from '../../core/contract/messages.ts';

/** Where drawing fails, says so instead of leaving an empty page. React itself puts the error on the console. */
export class CrashBoundary extends Component<{ children: React.ReactNode }, { detail: string | null }> {
  override state: { detail: string | null } = { detail: null };

  static getDerivedStateFromError(thrown: unknown): { detail: string } {
    return { detail: thrown instanceof Error ? thrown.message : String(thrown) };
  }

  override render(): React.ReactNode {
    if (this.state.detail === null) return this.props.children;
    return (
      <main className="alone" role="alert">
        <h1>{message('screen.crash')}</h1>
        <p>{message('screen.crash.why')}</p>
        <code className="mono">{this.state.detail}</code>
        <button type="button" className="button" onClick={() => location.reload()}>
          {message('screen.crash.reload')}
        </button>
      </main>
    );
  }
}
