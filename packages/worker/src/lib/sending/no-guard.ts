/** For sends that no ownership stands behind. */
export function noGuard(): void {}
