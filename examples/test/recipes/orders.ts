// services/orders.ts
import { isProblem, request } from 'wxlogin-client';

export interface Order { id: number; title: string }

/** orders is empty for a user who has logged out. */
export async function orders(): Promise<Order[]> {
  try {
    return await request<Order[]>({ url: 'https://api.example.com/orders' });
  } catch (err) {
    if (isProblem(err) && err.code === 'logged_out') return [];
    throw err;
  }
}
