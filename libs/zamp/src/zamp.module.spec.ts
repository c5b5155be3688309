import { describe, expect, it } from '@jest/globals';
import { Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { ZampAccounts, ZampModule } from './zamp.module.js';

class Settings {
  readonly accounts = ['default', 'second'].map((account) => ({
    account,
    merchantId: 'm_1',
    apiKey: 'k',
    secret: 's',
    apiBase: 'https://zamp.test',
    webhookAddresses: [],
  }));
}

@Module({ providers: [Settings], exports: [Settings] })
class SettingsModule {}

describe('The Zamp module', () => {
  it('gives every configured account its adapters', async () => {
    const module = await Test.createTestingModule({
      imports: [
        ZampModule.forRootAsync({
          imports: [SettingsModule],
          inject: [Settings],
          useFactory: (settings: Settings) => settings.accounts,
        }),
      ],
    }).compile();
    const { refunds, notices } = module.get(ZampAccounts);
    expect(refunds.map(({ provider, account }) => `${provider}/${account}`)).toEqual(['zamp/default', 'zamp/second']);
    expect(notices.map(({ account }) => account)).toEqual(['default', 'second']);
  });
});
