/** What pointers and arrow keys have in common on a canvas. */

/** Where each arrow key moves something by one step: x to the right, y down. */
const ARROWS: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Return where an arrow key moves something by one step, or undefined for another key. */
export function arrow(event: KeyboardEvent): [number, number] | undefined {
  return ARROWS[event.key];
}

/** Return where a pointer is on an element: (0, 0) at its top left, (1, 1) at its bottom right, and never outside. */
export function placeOn(element: Element, event: MouseEvent): [number, number] {
  const box = element.getBoundingClientRect();
  return [clamp((event.clientX - box.left) / box.width), clamp((event.clientY - box.top) / box.height)];
}

/** Return a number within bounds. */
export function clamp(value: number, least = 0, most = 1): number {
  return Math.min(most, Math.max(least, value));
}
