import { describe, expect, it } from '@jest/globals';
import { Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { StripeAccounts, StripeModule } from './stripe.module.js';

class Settings {
  readonly accounts = ['default', 'second'].map((account) => ({
    account,
    apiKey: account === 'default' ? 'sk_test_x' : 'rk_live_x',
    webhookSecrets: ['whsec_x'],
    apiBase: 'https://api.stripe.com',
  }));
}

@Module({ providers: [Settings], exports: [Settings] })
class SettingsModule {}

describe('The Stripe module', () => {
  it('gives every configured account its adapters', async () => {
    const module = await Test.createTestingModule({
      imports: [
        StripeModule.forRootAsync({
          imports: [SettingsModule],
          inject: [Settings],
          useFactory: (settings: Settings) => settings.accounts,
        }),
      ],
    }).compile();
    const { refunds, disputes, notices } = module.get(StripeAccounts);
    expect(refunds.map(({ provider, account }) => `${provider}/${account}`)).toEqual(['stripe/default', 'stripe/second']);
    // A sandbox takes less.
    expect(refunds.map(({ limits }) => limits)).toEqual([
      { perSecond: 25, perSecondAndEndpoint: 25 },
      { perSecond: 100, perSecondAndEndpoint: 25 },
    ]);
    expect(disputes.map(({ provider, account }) => `${provider}/${account}`)).toEqual(['stripe/default', 'stripe/second']);
    expect(notices.map(({ account }) => account)).toEqual(['default', 'second']);
  });
});
