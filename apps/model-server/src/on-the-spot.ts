/**
 * Work of up to this long is done by the thread that answers requests: others wait no longer than that for it. Handing work to
 * another thread and back costs about 0.1 ms, and more when its data is copied.
 */
export const onTheSpotMsMax = 2;
