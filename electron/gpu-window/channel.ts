/** The channel on which the preload is given the page's port. */
export const PORT_CHANNEL = 'gpu-window-port';
