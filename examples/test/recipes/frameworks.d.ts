// What the recipes use of uni-app and Taro, so that their calls of the client are checked without these packages.

declare module 'vue' {
  export function ref<T>(value: T): { value: T };
}
declare module '@dcloudio/uni-app' {
  export function onLaunch(hook: () => void): void;
  export function onShow(hook: () => void): void;
}
declare module '@tarojs/taro' {
  export function useLaunch(hook: () => void): void;
  export function useDidShow(hook: () => void): void;
}
declare module '@tarojs/components' {
  type Component = (props: any) => JSX.Element;
  export const Button: Component, Form: Component, Image: Component, Input: Component, Text: Component;
}
declare module 'react' {
  export type PropsWithChildren = { children?: unknown };
  export function useRef<T>(value: T): { current: T };
  export function useState<T>(value: T): [T, (next: T | ((before: T) => T)) => void];
}
declare namespace JSX {
  interface Element {}
}
