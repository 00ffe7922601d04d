import { useEffect } from 'react';
import type { Settings } from '../../core/contract/settings.ts';

/** Puts the theme on the document; `system` leaves it to the stylesheet, which follows the system by itself. */
export function useTheme(theme: Settings['theme']): void {
  useEffect(() => {
    if (theme === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  }, [theme]);
}
