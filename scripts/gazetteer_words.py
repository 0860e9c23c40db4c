"""What `gazetteer.py` adds to the packages' lists, and takes out of them: written by us."""

from __future__ import annotations

# What the lists of English names leave out.
FIRST_NAMES = "Will"

PINYIN_SURNAMES = (
    "Wang Li Zhang Liu Chen Yang Huang Zhao Wu Zhou Xu Sun Ma Zhu Hu Guo He Lin Gao Luo Zheng "
    "Liang Xie Song Tang Deng Han Feng Cao Peng Zeng Xiao Tian Dong Pan Yuan Cai Jiang Yu Du Ye "
    "Cheng Wei Su Lu Ding Ren Yao Shen Zhong Cui Tan Fan Jin Shi Liao Jia Xia Fu Fang Zou Xiong "
    "Bai Meng Qin Qiu Hou Yin Xue Yan Lei Long Duan Hao Gong Shao Qian Chang Wong Chan Cheung "
    "Lau "
    "Leung Kwok Chow Ng Nguyen Tran Pham Kim Park Choi Jung Tanaka Suzuki Sato Yamamoto Watanabe"
)

# Words that begin with a capital in titles, forms and code, and stand where a name might.
WORDS = (
    "monday tuesday wednesday thursday friday saturday sunday january february march april "
    "may june "
    "july august september october november december spring summer autumn winter mr mrs ms dr "
    "prof "
    "sir madam dear hi hello thanks thank regards street avenue road lane drive court square "
    "park "
    "bridge station airport hotel museum library church castle tower university college school "
    "institute academy hospital clinic bank company corporation group holdings inc llc ltd gmbh "
    "team customer client user admin administrator manager support sales service services "
    "server engineer developer director president minister chancellor king queen prince princess "
    "hiring recruiter committee editor reader colleague colleagues friend friends "
    "candidate applicant officer department office agency council senator governor mayor judge "
    "test tests example sample default value key data model base class method function object "
    "string number true false none null error exception warning note todo fixme api url http "
    "json "
    "python java ruby linux windows apache google microsoft amazon facebook twitter github "
    "oracle "
    "mobile reading bath nice orange normal union surprise independence enterprise paradise "
    "eagle "
    "temple mesa corona aurora batman man sale same hit bar most split hull worth rugby cork "
    "of van von der den del la le las los san santa santo saint de da do di el al and or not the "
    "he she it we you they this that these those here there what when where who why how yes no "
    "grant chase mark will bill art dean drew faith hope joy grace page rich sue pat jack guy "
    "rose "
    "dawn eve iris ivy lily daisy ruby pearl jade crystal amber violet hazel heather olive penny "
    "autumn august melody harmony destiny trinity angel christian dale clay cliff glen heath "
    "forest "
    "lance miles norm ray reed rusty skip sky wade ward west young long short small brown white "
    "black green gray wood woods stone rock field fields hill hills banks brooks rivers lake "
    "ford "
    "fox wolf bird fish bush berry cotton rice pepper case cash price day knight bishop pope "
    "baker cook carter mason miller porter potter shepherd taylor turner walker weaver major "
    "golden sharp strong swift wise good best love power powers sands rush lane post marks bond "
    "english french german spanish chinese american british european asian african indian "
    "russian "
    "japanese italian catholic jewish muslim hindu buddhist greek latin dutch polish turkish "
    "internet web app software hardware product project version chapter section figure table "
    "appendix page article title subject date address phone email fax name status type "
    "north south east west northern southern eastern western central upper lower new old great "
    "award prize cup league trophy medal festival theater theatre cathedral stadium arena act "
    "law "
    "foundation society association federation organization party news times post journal review "
    "book books press media network system systems solutions technologies technology "
    "bug bugs build code docs file files fix fixes license copyright contributor contributors "
    "author authors maintainer all any each one two three four five six seven eight nine ten "
    "herr frau doktor kunde kunden damen herren firma straße platz weg allee bahnhof "
    "monsieur madame mademoiselle client clients cher chère rue place gare hôtel mairie "
    "señor señora señorita don doña cliente clientes estimado estimada calle plaza avenida hotel "
    "geld zeit haus jahr tag frage antwort problem morgen abend uhr termin vertrag rechnung"
)

# What a list of English names has for a place in the five languages.
EXONYMS = (
    "München Köln Wien Zürich Zurich Genf Genève Mailand Rom Prag Warschau Brüssel Moskau Peking "
    "Lissabon "
    "Venedig Florenz Neapel Athen Kairo Straßburg Nürnberg Hannover Braunschweig Kopenhagen "
    "Londres Pékin Moscou Francfort Vienne Varsovie Bruxelles Lisbonne Barcelone Séville Munich "
    "Copenhague Athènes Rome Édimbourg Anvers Gand Cologne Nuremberg Marseille Lyon Strasbourg "
    "Colonia Múnich Ginebra Zúrich Bruselas Viena Berlín París Roma Moscú Pekín Tokio Sevilla "
    "Nueva|York La|Haya Marsella Burdeos Estrasburgo Fráncfort Hamburgo Milán Florencia Venecia "
    "Nápoles Atenas Lisboa Varsovia Praga Tokyo Peking Beijing Shanghai Seoul Mumbai Kyiv Kiev "
    "USA UK UAE United|Kingdom United|States England Scotland Wales Great|Britain|"
    " Europe Asia Africa Antarctica Scandinavia California|"
    " Bayern Sachsen Hessen Thüringen Brandenburg Niedersachsen Bavaria Saxony Catalonia "
    "Cataluña "
    "Ontario Quebec Québec Alberta Manitoba Saskatchewan British|Columbia Nova|Scotia "
    "New|South|Wales Queensland Tasmania Silicon|Valley Manhattan Brooklyn Hollywood"
)

NOT_SURE = (
    "Georgia Jordan Chad Guinea Turkey Jersey Virginia Washington Lincoln Jackson Victoria "
    "Florence Male "
    "Santiago Madison Austin Dallas Charlotte Orlando Savannah Reunion Réunion Cuba Mali Niger "
    "Corona Aurora Enterprise Marina Medina Mobile Orange Nice Reading Bath Split Java "
    "Independence Paradise Surprise Normal Union Central Centre Center Este Sur Norte Ain Oise "
    "Lot Var Nord Eure Manche Landes Cher Orne Loire Vienne Somme Aude Ardennes Jura Corse"
)
NEVER = (
    "Of Man Same Most Hit Bar Sale Batman Goth Ica Ur Cher Lot Var Nord Ain Este Sur Central "
    "Centre Center Union Normal Metro Mission Villa Puerto Valle Aguila Bay Much Hof "
    "Clay Date Best Pop Ham March Chase Price Page Green Deal Battle Cary Mary Bury Wells Rye "
    "Buy Data Deli Code Open Home Star Sun Time Times Sol Gay Mus Tours Roman Marl Selm "
    "Nova Delta Beta Alpha Sigma Kappa Omega Plus Prime Basic Base Core Java Ada Ruby Pascal "
    "Django Celery Beaver Angel Cotton Garland Rich Ora Thar Gap Ho Wa "
    "Wau Una Uni Ita Ube Oda Ota Ise Osh Naga Anna Eden Enna Fier Lod Lar Sur Dom"
)


# Two-character surnames of the Hundred Family Surnames that Faker does not list.
HAN_DOUBLE_SURNAMES = (
    "欧阳 歐陽 司马 司馬 诸葛 諸葛 上官 司徒 夏侯 尉迟 皇甫 公孙 公孫 慕容 令狐 "
    "长孙 宇文 东方 端木 独孤 南宫 西门 东郭 百里 呼延 轩辕 闻人 澹台 申屠 太史 "
    "淳于 拓跋 完颜 赫连 張簡 范姜"
)
# Characters of given names beside those of Faker's.
HAN_GIVEN = (
    "爱安邦宝保本彬斌冰兵波博才财灿昌畅超朝潮晨成诚承春慈聪翠达大丹德迪东栋恩尔发凡方芳飞"
    "菲芬丰峰锋凤福富刚高歌耿公恭光广贵桂国果海涵汉翰航豪好浩和河鹤恒红宏虹洪鸿厚华桦欢焕"
    "辉慧惠吉纪佳家嘉坚建健剑江杰洁捷金锦进晋京晶静敬靖娟军君俊凯康可克坤兰岚朗乐雷磊蕾礼"
    "力立利丽莉连莲良亮林琳霖玲凌灵龙隆璐露伦茂梅美萌蒙梦敏明铭娜楠宁培沛佩朋鹏平萍琦琪奇"
    "启强巧钦琴勤青清晴庆琼秋全泉群然仁荣蓉容如茹瑞睿润若森珊善绍深升生胜圣诗石时世树爽顺"
    "思松素涛天田甜婷庭挺彤万王威巍维伟卫玮文雯武希曦熙喜霞夏贤娴祥翔向小晓筱孝笑心欣新馨"
    "鑫信星兴杏雄秀旭轩萱璇学雪勋雅亚延妍岩炎艳燕阳洋瑶耀业叶一依怡宜义艺亦奕逸毅英莹颖盈"
    "永勇友有宇雨玉钰育裕元园媛远月悦越云芸允泽增展彰昭哲珍真振正志治智中忠洲珠竹卓子紫梓"
    "宗祖佐涌榕骏骁昊晗皓昱煜烨炜琰瑾瑜璟妮婧嫣婉娅嫦淼淑漪澜潇湘沐沁渊源溪"
)
# Surnames that are words, or ends of words, more often: they need a cue.
HAN_WORD_SURNAMES = (
    "但位信修全公关区单南厉史司和哈国官富封常干平幸应强成戈支文方明易普景晏母毛池沙海游由"
    "相白皮盖盛石祖管米索练羊艾花解计詹谈路车连那都郎金银门阳阴陆隆雷项高鲜麻初利华卓印危"
    "古吉向勾包原商喬奉时智曲来林查柴楚段留畢权束植武江温满滕牛牟玉班甘田申童章符簡粘粟紀"
    "缪耿衣谷豆边还须马黄党元云于万丰乐井任仲伍伏何佘"
)
# Surnames that make a name with one character, without a cue.
HAN_TOP_SURNAMES = (
    "王李张刘陈杨赵吴周徐孙朱郭何罗宋郑谢韩唐冯董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛潘"
    "杜戴钟汪姜廖邹熊孟侯邱郝崔龚邵钱覃黎史顾孔邢莫賴張劉陳楊趙吳孫鄭謝韓蔣盧許蘇葉黃馮鄧"
    "蕭"
)
# Words that begin like a name.
HAN_WORDS = (
    "万一 万能 于今 于是 云南 任一 任何 何在 何如 何文田 何时 元素 全国 全家 "
    "全文 全新 公元 公园 关心 利益 华东 华北 单元 南京 南海 史学 吴江 周一 周五 "
    "周全 周年 周日 周期 周边 和平 唐朝 国学 国家 孔雀 安全 安康 宋代 宋朝 常有 "
    "常用 平和 平安 应用 张力 张家口 张家港 张家界 张开 徐家汇 徐州 成功 成立 "
    "文化 文明 方便 方正 时光 时时 时间 明天 明星 曾有 李子 杨树 林业 武汉 汉文 "
    "江山 江海 江苏 沈阳 海南 海洋 温和 温泉 王国 王子 王家卫视 王朝 王者 白天 "
    "相信 石家 石家庄 程序 程式 管理 苏州 解放 计算 许可 许有 谢天 谢谢 连云 "
    "连云港 通信 郑州 金华 钟点 陈列 陈旧 项目 马上 马克思 高兴 高大 高明 黄山 "
    "黄河 黄金"
)
