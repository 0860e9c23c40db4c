"""What the keys of well-known providers look like: facts from their own documentation, as tables.

A key is given here only if its form is one that nothing else has. Repeats without an end are
possessive; none is of a group.
"""

from __future__ import annotations

from typing import Final

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_BASE64 = "[0-9A-Za-z+/]"

LEADS: Final = (
    # Models
    ("sk-proj-", r"[\w-]{20,}+"),  # OpenAI
    ("sk-svcacct-", r"[\w-]{20,}+"),
    ("sk-admin-", r"[\w-]{20,}+"),
    ("sess-", r"[0-9A-Za-z]{40}"),
    ("sk-ant-", r"[\w-]{20,}+"),  # Anthropic
    ("sk-or-v1-", r"[0-9a-f]{64}+"),  # OpenRouter
    ("sk-lf-", _UUID),  # Langfuse
    ("sk-helicone-", r"[\w-]{20,}+"),
    ("sk-", r"[0-9A-Za-z]{8,16}-[\w-]{43}"),  # this gateway
    # OpenAI before 2024, DeepSeek, Moonshot, DashScope, SiliconFlow, and others
    ("sk-", r"(?=[A-Za-z]{0,40}[0-9])[0-9A-Za-z]{20,}+"),
    ("xai-", r"[0-9A-Za-z]{40,}+"),
    ("gsk_", r"[0-9A-Za-z]{40,}+"),  # Groq
    ("hf_", r"[0-9A-Za-z]{34,}+"),  # Hugging Face
    ("api_org_", r"[A-Za-z]{34}"),
    ("pplx-", r"[0-9A-Za-z]{40,}+"),  # Perplexity
    ("r8_", r"[0-9A-Za-z]{37}"),  # Replicate
    ("nvapi-", r"[\w-]{60,}+"),  # NVIDIA
    ("csk-", r"[0-9a-z]{40,}+"),  # Cerebras
    ("fw_", r"[0-9A-Za-z]{20,24}"),  # Fireworks
    ("esecret_", r"[0-9A-Za-z]{20,}+"),  # Anyscale
    ("sk_", r"[0-9a-f]{48}"),  # ElevenLabs
    ("jina_", r"\w{40,}+"),
    ("tvly-", r"[0-9A-Za-z-]{20,}+"),  # Tavily
    ("fc-", r"[0-9a-f]{32}"),  # Firecrawl
    ("pcsk_", r"\w{50,}+"),  # Pinecone
    ("lsv2_", r"(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),  # LangSmith
    ("e2b_", r"[0-9a-f]{40}"),
    ("bce-v3/", r"ALTAK-[0-9A-Za-z]{21}/[0-9a-f]{40}"),  # Baidu
    # Clouds
    ("AKIA", r"[0-9A-Z]{16}"),  # AWS
    ("ASIA", r"[0-9A-Z]{16}"),
    ("ABIA", r"[0-9A-Z]{16}"),
    ("ACCA", r"[0-9A-Z]{16}"),
    ("ABSK", rf"{_BASE64}{{109,}}+={{0,2}}"),  # AWS Bedrock
    ("bedrock-api-key-", rf"{_BASE64}{{60,}}+={{0,2}}"),
    ("AIza", r"[\w-]{35}"),  # Google
    ("AQ.Ab", r"[\w-]{40,}+"),
    ("GOCSPX-", r"[\w-]{28}"),
    ("ya29.", r"[\w.-]{20,}+"),
    ("1//0", r"[\w-]{40,}+"),
    ("AAAA", r"[\w-]{7}:[\w-]{140}"),  # Firebase
    ("dop_v1_", r"[0-9a-f]{64}"),  # DigitalOcean
    ("doo_v1_", r"[0-9a-f]{64}"),
    ("dor_v1_", r"[0-9a-f]{64}"),
    ("HRKU-", r"[\w-]{36,}+"),  # Heroku
    ("LTAI", r"[0-9A-Za-z]{12,20}"),  # Alibaba
    ("AKID", r"[0-9A-Za-z]{32}"),  # Tencent
    ("AQVN", r"[\w-]{35,38}"),  # Yandex
    ("y0_", r"[\w-]{40,}+"),
    ("fo1_", r"[\w-]{43}"),  # Fly
    ("fm1r_", rf"{_BASE64}{{80,}}+={{0,2}}"),
    ("fm2_", rf"{_BASE64}{{80,}}+={{0,2}}"),
    ("nfp_", r"[0-9A-Za-z_]{36,}+"),  # Netlify
    ("vcp_", r"[0-9A-Za-z]{24,}+"),  # Vercel
    ("vck_", r"[0-9A-Za-z]{24,}+"),
    ("pscale_", r"(?:tkn|pw|oauth)_[\w.=-]{32,}+"),  # PlanetScale
    ("sbp_", r"[0-9a-f]{40}"),  # Supabase
    ("sb_secret_", r"[\w-]{20,}+"),
    ("napi_", r"[0-9a-z]{60,}+"),  # Neon
    ("dapi", r"[0-9a-f]{32}(?:-[0-9])?"),  # Databricks
    ("tskey-", r"[a-z]{3,8}-[0-9A-Za-z]{6,}+-[0-9A-Za-z]{16,}+"),  # Tailscale
    # Code, packages, delivery
    ("ghp_", r"[0-9A-Za-z]{36,}+"),  # GitHub
    ("gho_", r"[0-9A-Za-z]{36,}+"),
    ("ghr_", r"[0-9A-Za-z]{36,}+"),
    ("ghs_", r"[0-9A-Za-z]{36,}+"),
    ("ghu_", r"[0-9A-Za-z]{36,}+"),
    ("github_pat_", r"\w{22,}+"),
    ("glpat-", r"[\w.-]{20,}+"),  # GitLab
    ("gldt-", r"[\w-]{20,}+"),
    ("glrt-", r"[\w.-]{20,}+"),
    ("glcbt-", r"[\w-]{20,}+"),
    ("glptt-", r"[0-9a-f]{40}"),
    ("glsoat-", r"[\w-]{20,}+"),
    ("glagent-", r"[\w-]{50,}+"),
    ("gloas-", r"[0-9a-f]{64}"),
    ("GR1348941", r"[\w-]{20}"),
    ("ATATT3", r"[\w=-]{60,}+"),  # Atlassian
    ("ATCTT3", r"[\w=-]{60,}+"),
    ("ATBB", r"[0-9A-Za-z]{32}"),  # Bitbucket
    ("npm_", r"[0-9A-Za-z]{36}"),
    ("pypi-AgE", r"[\w-]{50,}+"),
    ("rubygems_", r"[0-9a-f]{48}"),
    ("cio", r"(?=[A-Za-z]{0,20}[0-9])[0-9A-Za-z]{32}"),  # of Rust crates
    ("oy2", r"[0-9a-z]{43}"),  # NuGet
    ("dckr_pat_", r"[\w-]{27}"),  # Docker
    ("dckr_oat_", r"[\w-]{32}"),
    ("AKCp", r"[0-9A-Za-z]{65,75}"),  # JFrog
    ("cmVmdGtuO", r"[0-9A-Za-z]{50,}+={0,2}"),
    ("CCIPAT_", r"[0-9A-Za-z]{22}_[0-9a-f]{40}"),  # CircleCI
    ("bkua_", r"[0-9a-f]{40}"),  # Buildkite
    ("sgp_", r"(?:[0-9A-Za-z]{16}_)?[0-9a-f]{40}"),  # Sourcegraph
    ("squ_", r"[0-9a-f]{40}"),  # SonarQube
    ("sqp_", r"[0-9a-f]{40}"),
    ("sqa_", r"[0-9a-f]{40}"),
    ("pul-", r"[0-9a-f]{40}"),  # Pulumi
    ("hvs.", r"[\w-]{24,}+"),  # Vault
    ("hvb.", r"[\w-]{24,}+"),
    ("hvr.", r"[\w-]{24,}+"),
    ("dp.", r"(?:pt|st|ct|sa|scim|audit)\.(?:[\w-]{2,35}\.)?[0-9A-Za-z]{40,44}"),  # Doppler
    ("ops_eyJ", r"[\w+/=-]{200,}+"),  # 1Password
    ("A3-", r"[0-9A-Z]{6}-(?:[0-9A-Z]{11}|[0-9A-Z]{6}-[0-9A-Z]{5})(?:-[0-9A-Z]{5}){3}"),
    ("AGE-SECRET-KEY-1", r"[0-9A-Z]{58}"),
    ("pnu_", r"[0-9A-Za-z]{36}"),  # Prefect
    ("PMAK-", r"[0-9a-f]{24}-[0-9a-f]{34}"),  # Postman
    ("sdk-", _UUID),  # LaunchDarkly
    # Watching
    ("NRAK-", r"[0-9A-Z]{27}"),  # New Relic
    ("NRII-", r"[\w-]{32}"),
    ("NRJS-", r"[0-9a-f]{19}"),
    ("glsa_", r"[0-9A-Za-z]{32}_[0-9A-Fa-f]{8}"),  # Grafana
    ("glc_", rf"{_BASE64}{{32,}}+={{0,3}}"),
    ("eyJrIjoi", rf"{_BASE64}{{60,}}+={{0,2}}"),
    ("sntrys_", r"[\w+/=]{60,}+"),  # Sentry
    ("sntryu_", r"[0-9a-f]{64}"),
    ("dt0c01.", r"[0-9A-Z]{24}\.[0-9A-Z]{64}"),  # Dynatrace
    # Money and shops
    ("sk_live_", r"[0-9A-Za-z]{16,}+"),  # Stripe
    ("sk_test_", r"[0-9A-Za-z]{16,}+"),
    ("rk_live_", r"[0-9A-Za-z]{16,}+"),
    ("rk_test_", r"[0-9A-Za-z]{16,}+"),
    ("whsec_", r"[0-9A-Za-z+/=]{24,}+"),
    ("sq0atp-", r"[\w-]{22}"),  # Square
    ("sq0csp-", r"[\w-]{43}"),
    ("EAAA", r"[\w-]{60}"),
    ("shpat_", r"[0-9A-Fa-f]{32}"),  # Shopify
    ("shpca_", r"[0-9A-Fa-f]{32}"),
    ("shppa_", r"[0-9A-Fa-f]{32}"),
    ("shpss_", r"[0-9A-Fa-f]{32}"),
    ("access_token$", r"(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}"),  # Braintree
    ("rzp_live_", r"[0-9A-Za-z]{14}"),  # Razorpay
    ("rzp_test_", r"[0-9A-Za-z]{14}"),
    ("access-production-", _UUID),  # Plaid
    ("access-sandbox-", _UUID),
    ("EZAK", r"[0-9A-Za-z]{54}"),  # EasyPost
    ("shippo_live_", r"[0-9a-f]{40}"),
    ("FLWSECK-", r"[0-9A-Za-z-]{32,}+"),  # Flutterwave
    # People and messages
    ("xox", r"[abeoprs]-[0-9A-Za-z-]{10,}+"),  # Slack
    ("xapp-", r"[0-9A-Za-z-]{20,}+"),
    ("hooks.slack.com/services/", r"T\w{6,}+/B\w{6,}+/\w{20,}+"),
    ("discord.com/api/webhooks/", r"[0-9]{17,20}/[\w-]{60,}+"),
    ("SK", r"[0-9a-f]{32}"),  # Twilio
    ("AC", r"[0-9a-f]{32}"),
    ("SG.", r"[\w-]{22}\.[\w-]{43}"),  # SendGrid
    ("key-", r"[0-9a-f]{32}"),  # Mailgun
    ("xkeysib-", r"[0-9a-f]{64}-[0-9A-Za-z]{16}"),  # Brevo
    ("xsmtpsib-", r"[0-9a-f]{64}-[0-9A-Za-z]{16}"),
    ("re_", r"[0-9A-Za-z]{8}_[0-9A-Za-z]{24}"),  # Resend
    ("EAA", r"(?=[A-Za-z]{0,40}[0-9])[0-9A-Za-z]{90,}+"),  # Meta
    ("lin_api_", r"[0-9A-Za-z]{40}"),  # Linear
    ("lin_oauth_", r"[0-9A-Za-z]{40,}+"),
    ("ntn_", r"[0-9A-Za-z]{40,}+"),  # Notion
    ("secret_", r"(?=[A-Za-z]{0,40}[0-9])[0-9A-Za-z]{43}"),
    ("figd_", r"[\w-]{38,}+"),  # Figma
    ("sl.", r"(?:u\.)?[\w-]{100,}+"),  # Dropbox
    ("pat-", rf"[a-z]{{2}}[0-9]-{_UUID}"),  # HubSpot
    ("pat", r"[0-9A-Za-z]{14}\.[0-9a-f]{64}"),  # Airtable
    ("CFPAT-", r"[\w-]{43}"),  # Contentful
    ("tfp_", r"[\w.-]{59}"),  # Typeform
    ("sk.eyJ", r"[\w-]{30,}+\.[\w-]{20,}+"),  # Mapbox
    ("apify_api_", r"[0-9A-Za-z]{36}"),
)  # fmt: skip
"""How a key begins (two characters at least), and how it goes on."""

MIDDLES: Final = (
    (":AA", 8, 10, r"[0-9]{8,10}:AA[\w-]{33}"),  # Telegram: a bot's number and its token
    ("-us", 32, 32, r"[0-9a-f]{32}-us[0-9]{1,2}"),  # Mailchimp
    ("Q~", 4, 4, r"[\w.~-]{3}[0-9]Q~[\w.~-]{31,34}"),  # Microsoft Entra: a client's secret
    (".atlasv1.", 14, 14, r"[0-9A-Za-z]{14}\.atlasv1\.[\w-]{60,70}"),  # Terraform
    ("NRAL", 36, 36, r"[0-9a-f]{36}NRAL"),  # New Relic
    ("JQQJ99", 52, 52, r"[0-9A-Za-z]{52}JQQJ99[0-9A-Za-z]{26}"),  # Azure OpenAI and others
    ("AZDO", 76, 76, r"[0-9A-Za-z]{76}AZDO[0-9A-Za-z]{4}"),  # Azure DevOps
    ("+ASt", 76, 76, rf"{_BASE64}{{76}}\+ASt{_BASE64}{{5}}[AQgw]=="),  # Azure Storage
    ("ACDb", 76, 76, rf"{_BASE64}{{76}}ACDb{_BASE64}{{5}}[AQgw]=="),  # Azure Cosmos
    ("+ASb", 33, 33, rf"{_BASE64}{{33}}\+ASb{_BASE64}{{5}}="),  # Azure Service Bus
    ("+AEh", 33, 33, rf"{_BASE64}{{33}}\+AEh{_BASE64}{{5}}="),  # Azure Event Hubs
    ("AIoT", 33, 33, rf"{_BASE64}{{33}}AIoT{_BASE64}{{5}}="),
    ("AzCa", 33, 33, rf"{_BASE64}{{33}}AzCa[A-P]{_BASE64}{{5}}="),
    ("AzSe", 42, 42, r"[0-9A-Za-z]{42}AzSe[A-D][0-9A-Za-z]{5}"),
    ("AzFu", 44, 44, r"[\w-]{44}AzFu[\w-]{5}[AQgw]=="),
)  # fmt: skip
"""What is in the midst of a key, how many characters at least and at most stand before it, and the
whole key."""

CUED: Final = (
    ("accountkey", rf"{_BASE64}{{86}}=="),  # Azure Storage
    ("sharedaccesskey", rf"{_BASE64}{{43}}="),  # Azure Service Bus, Event Hubs, IoT
    ("sig=", r"[0-9A-Za-z%]{40,70}%3[Dd]"),  # Azure shared access signatures
    ("openai", r"[0-9a-f]{32}"),  # Azure OpenAI
    ("cognitive", r"[0-9a-f]{32}"),
    ("subscription-key", r"[0-9a-f]{32}"),
    ("azure_devops", r"[0-9a-z]{52}"),
    ("accesskeysecret", r"[0-9A-Za-z]{30}"),  # Alibaba
    ("tencentcloud", r"[0-9A-Za-z]{32}"),
    ("cloudflare", r"[0-9a-f]{37}|[\w-]{40}"),
    ("datadog", r"[0-9a-f]{32}|[0-9a-f]{40}"),
    ("dd_a", r"[0-9a-f]{32}|[0-9a-f]{40}"),
    ("okta", r"00[\w-]{40}"),
    ("heroku", _UUID),
    ("vercel", r"[0-9A-Za-z]{24}"),
    ("fastly", r"[\w-]{32}"),
    ("twilio", r"[0-9a-f]{32}"),
    ("mailgun", r"[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}"),
    ("cohere", r"[0-9A-Za-z]{40}"),
    ("mistral", r"[0-9A-Za-z]{32}"),
    ("together", r"[0-9a-f]{64}"),
    ("zhipu", r"[0-9a-f]{32}\.[0-9A-Za-z]{16}"),
    ("deepgram", r"[0-9a-f]{40}"),
    ("assemblyai", r"[0-9a-f]{32}"),
    ("wandb", r"[0-9a-f]{40}"),
    ("pagerduty", r"[\w+-]{20}"),
    ("snyk", _UUID),
    ("codecov", _UUID),
    ("privatekey", rf"{_BASE64}{{43}}="),  # WireGuard
    ("presharedkey", rf"{_BASE64}{{43}}="),
)  # fmt: skip
"""A name in small letters, and the form of the key behind it: nothing by itself."""
