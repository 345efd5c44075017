"""Invented people and companies: common names in the scripts in which an exchange would have registered them."""

# surname: kanji, kana, romaji. 髙, 﨑, 濵, 邊 and 𠮷 are other people's spellings of common names, not errors.
_SURNAMES = """
佐藤 サトウ SATO|鈴木 スズキ SUZUKI|高橋 タカハシ TAKAHASHI|髙橋 タカハシ TAKAHASHI|田中 タナカ TANAKA|伊藤 イトウ ITO
渡辺 ワタナベ WATANABE|渡邊 ワタナベ WATANABE|渡邉 ワタナベ WATANABE|山本 ヤマモト YAMAMOTO|中村 ナカムラ NAKAMURA
小林 コバヤシ KOBAYASHI|加藤 カトウ KATO|吉田 ヨシダ YOSHIDA|𠮷田 ヨシダ YOSHIDA|山田 ヤマダ YAMADA|佐々木 ササキ SASAKI
山口 ヤマグチ YAMAGUCHI|松本 マツモト MATSUMOTO|井上 イノウエ INOUE|木村 キムラ KIMURA|林 ハヤシ HAYASHI|斎藤 サイトウ SAITO
齋藤 サイトウ SAITO|齊藤 サイトウ SAITO|斉藤 サイトウ SAITO|清水 シミズ SHIMIZU|山崎 ヤマザキ YAMAZAKI|山﨑 ヤマサキ YAMASAKI
森 モリ MORI|池田 イケダ IKEDA|橋本 ハシモト HASHIMOTO|阿部 アベ ABE|安部 アベ ABE|石川 イシカワ ISHIKAWA|山下 ヤマシタ YAMASHITA
中島 ナカジマ NAKAJIMA|中嶋 ナカジマ NAKAJIMA|石井 イシイ ISHII|小川 オガワ OGAWA|前田 マエダ MAEDA|岡田 オカダ OKADA
長谷川 ハセガワ HASEGAWA|藤田 フジタ FUJITA|後藤 ゴトウ GOTO|近藤 コンドウ KONDO|村上 ムラカミ MURAKAMI|遠藤 エンドウ ENDO
青木 アオキ AOKI|坂本 サカモト SAKAMOTO|福田 フクダ FUKUDA|太田 オオタ OTA|西村 ニシムラ NISHIMURA|藤井 フジイ FUJII
金子 カネコ KANEKO|岡本 オカモト OKAMOTO|中野 ナカノ NAKANO|藤原 フジワラ FUJIWARA|三浦 ミウラ MIURA|原田 ハラダ HARADA
中川 ナカガワ NAKAGAWA|松田 マツダ MATSUDA|竹内 タケウチ TAKEUCHI|小野 オノ ONO|田村 タムラ TAMURA|中山 ナカヤマ NAKAYAMA
和田 ワダ WADA|石田 イシダ ISHIDA|森田 モリタ MORITA|上田 ウエダ UEDA|原 ハラ HARA|内田 ウチダ UCHIDA|柴田 シバタ SHIBATA
酒井 サカイ SAKAI|宮崎 ミヤザキ MIYAZAKI|宮﨑 ミヤザキ MIYAZAKI|横山 ヨコヤマ YOKOYAMA|高木 タカギ TAKAGI|髙木 タカギ TAKAGI
安藤 アンドウ ANDO|宮本 ミヤモト MIYAMOTO|大野 オオノ ONO|小島 コジマ KOJIMA|谷口 タニグチ TANIGUCHI|今井 イマイ IMAI
工藤 クドウ KUDO|高田 タカダ TAKADA|増田 マスダ MASUDA|丸山 マルヤマ MARUYAMA|杉山 スギヤマ SUGIYAMA|村田 ムラタ MURATA
大塚 オオツカ OTSUKA|新井 アライ ARAI|小山 コヤマ KOYAMA|平野 ヒラノ HIRANO|藤本 フジモト FUJIMOTO|河野 コウノ KONO
上野 ウエノ UENO|野口 ノグチ NOGUCHI|武田 タケダ TAKEDA|松井 マツイ MATSUI|千葉 チバ CHIBA|菅原 スガワラ SUGAWARA
岩崎 イワサキ IWASAKI|久保 クボ KUBO|木下 キノシタ KINOSHITA|佐野 サノ SANO|野村 ノムラ NOMURA|松尾 マツオ MATSUO
浜田 ハマダ HAMADA|濵田 ハマダ HAMADA|比嘉 ヒガ HIGA|金城 キンジョウ KINJO|土居 ドイ DOI|馬場 ババ BABA|服部 ハットリ HATTORI
東海林 ショウジ SHOJI|五十嵐 イガラシ IGARASHI|勅使河原 テシガワラ TESHIGAWARA|辻 ツジ TSUJI|菊地 キクチ KIKUCHI|樋口 ヒグチ HIGUCHI
"""

# given name: kanji (or kana, as registered), kana, romaji
_GIVEN_NAMES = """
翔太 ショウタ SHOTA|蓮 レン REN|大輝 ダイキ DAIKI|健太 ケンタ KENTA|拓也 タクヤ TAKUYA|翼 ツバサ TSUBASA|誠 マコト MAKOTO
浩 ヒロシ HIROSHI|博 ヒロシ HIROSHI|隆 タカシ TAKASHI|茂 シゲル SHIGERU|清 キヨシ KIYOSHI|勝 マサル MASARU|豊 ユタカ YUTAKA
一郎 イチロウ ICHIRO|健一 ケンイチ KENICHI|修 オサム OSAMU|明 アキラ AKIRA|和也 カズヤ KAZUYA|哲也 テツヤ TETSUYA|直樹 ナオキ NAOKI
大介 ダイスケ DAISUKE|学 マナブ MANABU|剛 ツヨシ TSUYOSHI|亮 リョウ RYO|涼 リョウ RYO|悠斗 ユウト YUTO|颯太 ソウタ SOTA
陽翔 ハルト HARUTO|湊 ミナト MINATO|樹 イツキ ITSUKI|朝陽 アサヒ ASAHI|純一 ジュンイチ JUNICHI|信二 シンジ SHINJI|英樹 ヒデキ HIDEKI
正 タダシ TADASHI|進 ススム SUSUMU|昭夫 アキオ AKIO|武 タケシ TAKESHI|実 ミノル MINORU|竜馬 リョウマ RYOMA|龍之介 リュウノスケ RYUNOSUKE
俊介 シュンスケ SHUNSUKE|祐介 ユウスケ YUSUKE|雄大 ユウダイ YUDAI|圭 ケイ KEI|航 ワタル WATARU|匠 タクミ TAKUMI|海斗 カイト KAITO
陽子 ヨウコ YOKO|恵子 ケイコ KEIKO|洋子 ヨウコ YOKO|幸子 サチコ SACHIKO|和子 カズコ KAZUKO|美咲 ミサキ MISAKI|葵 アオイ AOI
さくら サクラ SAKURA|陽菜 ヒナ HINA|結衣 ユイ YUI|結菜 ユイナ YUINA|愛 アイ AI|愛美 マナミ MANAMI|舞 マイ MAI|彩 アヤ AYA
彩花 アヤカ AYAKA|香織 カオリ KAORI|久美子 クミコ KUMIKO|由美子 ユミコ YUMIKO|真由美 マユミ MAYUMI|明美 アケミ AKEMI|直美 ナオミ NAOMI
智子 トモコ TOMOKO|裕子 ユウコ YUKO|優子 ユウコ YUKO|京子 キョウコ KYOKO|節子 セツコ SETSUKO|文子 フミコ FUMIKO|千代 チヨ CHIYO
みどり ミドリ MIDORI|ひかり ヒカリ HIKARI|あゆみ アユミ AYUMI|かおる カオル KAORU|まゆ マユ MAYU|りん リン RIN|凛 リン RIN
莉子 リコ RIKO|美月 ミツキ MITSUKI|七海 ナナミ NANAMI|千尋 チヒロ CHIHIRO|遥 ハルカ HARUKA|楓 カエデ KAEDE|茜 アカネ AKANE
麻衣 マイ MAI|友美 トモミ TOMOMI|理恵 リエ RIE|典子 ノリコ NORIKO|静香 シズカ SHIZUKA|瞳 ヒトミ HITOMI|泉 イズミ IZUMI
"""

# nationality: family names and given names as the passport writes them, each with the kana the exchange asked for
_FOREIGN = {
    "US": (
        "SMITH スミス|JOHNSON ジョンソン|WILLIAMS ウィリアムズ|GARCIA ガルシア|O'BRIEN オブライエン|LEE リー|WASHINGTON ワシントン",
        "JAMES ジェームズ|MARY メアリー|ROBERT ロバート|LINDA リンダ|MICHAEL マイケル|SUSAN スーザン",
    ),
    "GB": (
        "TAYLOR テイラー|BROWN ブラウン|EVANS エバンス|ST JOHN シンジョン|FOTHERINGTON-THOMAS フォザリントントーマス",
        "OLIVER オリバー|AMELIA アメリア|HARRY ハリー|CHARLOTTE シャーロット",
    ),
    "CN": (
        "WANG ワン|LI リ|ZHANG チョウ|LIU リュウ|CHEN チェン|YANG ヤン|OUYANG オウヨウ",
        "WEI ウェイ|FANG ファン|NA ナ|XIUYING シュウイン|MIN ミン|JING ジン|LEI レイ",
    ),
    "KR": (
        "KIM キム|LEE イ|PARK パク|CHOI チェ|JUNG チョン|KANG カン",
        "MINJUN ミンジュン|SEOYEON ソヨン|JIHO ジホ|HAYOON ハユン",
    ),
    "TW": ("LIN リン|HUANG コウ|TSAI サイ|HSU キョ", "CHIAHAO チアハオ|YATING ヤティン|CHUNHUNG チュンホン"),
    "VN": (
        "NGUYEN グエン|TRAN チャン|LE レ|PHAM ファム|VO ヴォ",
        "VAN ANH ヴァンアン|THI HOA ティホア|MINH TUAN ミントゥアン|DUC ドゥック",
    ),
    "PH": (
        "SANTOS サントス|REYES レイエス|CRUZ クルス|DELA CRUZ デラクルス",
        "JOSE ホセ|MARIA マリア|ANGELO アンジェロ",
    ),
    "BR": (
        "SILVA シルバ|SOUZA ソウザ|TANAKA タナカ|YAMAMOTO ヤマモト",
        "LUCAS ルーカス|ANA アナ|PEDRO ペドロ|JULIA ジュリア",
    ),
    "FR": ("DUPONT デュポン|LEFEVRE ルフェーブル|D'ARC ダルク", "JEAN ジャン|MARIE マリー|CAMILLE カミーユ"),
    "DE": ("MUELLER ミュラー|SCHMIDT シュミット|VON WEBER フォンウェーバー", "HANS ハンス|ANNA アンナ|LUKAS ルーカス"),
    "IN": (
        "SHARMA シャルマ|PATEL パテル|SINGH シン|KRISHNAMURTHY クリシュナムルティ",
        "RAHUL ラフル|PRIYA プリヤ|ARJUN アルジュン",
    ),
    "NP": ("THAPA タパ|GURUNG グルン|SHRESTHA シュレスタ", "SITA シタ|RAM ラム|BISHNU ビシュヌ"),
    "ID": ("WIJAYA ウィジャヤ|HARTONO ハルトノ", "SUHARTI スハルティ|BUDI ブディ"),
}

# company name: as registered, kana, romaji
_COMPANIES = """
あさひ アサヒ ASAHI|みどり ミドリ MIDORI|ひかり ヒカリ HIKARI|さくら サクラ SAKURA|大和 ヤマト YAMATO|北斗 ホクト HOKUTO|東洋 トウヨウ TOYO
富士見 フジミ FUJIMI|三友 ミツトモ MITSUTOMO|瀬戸内 セトウチ SETOUCHI|白波 シラナミ SHIRANAMI|青空 アオゾラ AOZORA|若葉 ワカバ WAKABA
双葉 フタバ FUTABA|みなと ミナト MINATO|つばめ ツバメ TSUBAME|千歳 チトセ CHITOSE|高砂 タカサゴ TAKASAGO|髙﨑 タカサキ TAKASAKI
新星 シンセイ SHINSEI|ホライズン ホライズン HORIZON|ルミナス ルミナス LUMINOUS|アルファ アルファ ALPHA
"""
_TRADES = """
商事 ショウジ SHOJI|工業 コウギョウ KOGYO|建設 ケンセツ KENSETSU|物産 ブッサン BUSSAN|電機 デンキ DENKI|食品 ショクヒン SHOKUHIN
不動産 フドウサン FUDOSAN|運輸 ウンユ UNYU|システム システム SYSTEM|テクノロジー テクノロジー TECHNOLOGY|キャピタル キャピタル CAPITAL
ホールディングス ホールディングス HOLDINGS|企画 キカク KIKAKU|製作所 セイサクショ SEISAKUSHO|印刷 インサツ INSATSU
"""
# form: as written, kana, romaji, abbreviation in bank files (head, tail), stands in front?
FORMS = (
    ("株式会社", "カブシキガイシャ", "CO., LTD.", "ｶ)", "(ｶ"),
    ("株式会社", "カブシキガイシャ", "CO., LTD.", "ｶ)", "(ｶ"),
    ("株式会社", "カブシキガイシャ", "INC.", "ｶ)", "(ｶ"),
    ("合同会社", "ゴウドウガイシャ", "LLC", "ﾄﾞ)", "(ﾄﾞ"),
    ("有限会社", "ユウゲンガイシャ", "LTD.", "ﾕ)", "(ﾕ"),
    ("一般社団法人", "イッパンシャダンホウジン", "ASSOCIATION", "ｼﾔ)", "(ｼﾔ"),
)


def _triples(text: str) -> tuple[tuple[str, str, str], ...]:
    found = []
    for entry in text.replace("\n", "|").split("|"):
        if entry.strip():
            written, kana, romaji = entry.split()
            found.append((written, kana, romaji))
    return tuple(found)


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((romaji, kana) for romaji, kana in (entry.rsplit(" ", 1) for entry in text.split("|")))


SURNAMES = _triples(_SURNAMES)
GIVEN_NAMES = _triples(_GIVEN_NAMES)
COMPANIES = _triples(_COMPANIES)
TRADES = _triples(_TRADES)
FOREIGN = tuple((country, _pairs(family), _pairs(given)) for country, (family, given) in _FOREIGN.items())

# How the same person comes to be registered twice: once in each spelling.
OTHER_SPELLING = str.maketrans("髙﨑濵邊邉齋𠮷高崎浜辺斎吉", "高崎浜辺辺斎吉髙﨑濵邊齋𠮷")

# Places: postcode, address up to the block number, its kana, its romaji
PLACES = (
    ("100-0005", "東京都千代田区丸の内", "トウキョウトチヨダクマルノウチ", "Marunouchi, Chiyoda-ku, Tokyo"),
    ("150-0002", "東京都渋谷区渋谷", "トウキョウトシブヤクシブヤ", "Shibuya, Shibuya-ku, Tokyo"),
    ("160-0023", "東京都新宿区西新宿", "トウキョウトシンジュククニシシンジュク", "Nishi-Shinjuku, Shinjuku-ku, Tokyo"),
    ("106-0032", "東京都港区六本木", "トウキョウトミナトクロッポンギ", "Roppongi, Minato-ku, Tokyo"),
    ("154-0004", "東京都世田谷区太子堂", "トウキョウトセタガヤクタイシドウ", "Taishido, Setagaya-ku, Tokyo"),
    ("180-0004", "東京都武蔵野市吉祥寺本町", "トウキョウトムサシノシキチジョウジホンチョウ", "Kichijoji-Honcho, Musashino-shi, Tokyo"),
    ("220-0012", "神奈川県横浜市西区みなとみらい", "カナガワケンヨコハマシニシクミナトミライ", "Minatomirai, Nishi-ku, Yokohama-shi, Kanagawa"),
    ("210-0006", "神奈川県川崎市川崎区砂子", "カナガワケンカワサキシカワサキクイサゴ", "Isago, Kawasaki-ku, Kawasaki-shi, Kanagawa"),
    ("330-0854", "埼玉県さいたま市大宮区桜木町", "サイタマケンサイタマシオオミヤクサクラギチョウ", "Sakuragi-cho, Omiya-ku, Saitama-shi, Saitama"),
    ("260-0013", "千葉県千葉市中央区中央", "チバケンチバシチュウオウクチュウオウ", "Chuo, Chuo-ku, Chiba-shi, Chiba"),
    ("060-0001", "北海道札幌市中央区北一条西", "ホッカイドウサッポロシチュウオウクキタイチジョウニシ", "Kita 1-jo Nishi, Chuo-ku, Sapporo-shi, Hokkaido"),
    ("980-0021", "宮城県仙台市青葉区中央", "ミヤギケンセンダイシアオバクチュウオウ", "Chuo, Aoba-ku, Sendai-shi, Miyagi"),
    ("950-0087", "新潟県新潟市中央区東大通", "ニイガタケンニイガタシチュウオウクヒガシオオドオリ", "Higashi-Odori, Chuo-ku, Niigata-shi, Niigata"),
    ("920-0853", "石川県金沢市本町", "イシカワケンカナザワシホンマチ", "Honmachi, Kanazawa-shi, Ishikawa"),
    ("460-0008", "愛知県名古屋市中区栄", "アイチケンナゴヤシナカクサカエ", "Sakae, Naka-ku, Nagoya-shi, Aichi"),
    ("430-0933", "静岡県浜松市中央区鍛冶町", "シズオカケンハママツシチュウオウクカジマチ", "Kaji-machi, Chuo-ku, Hamamatsu-shi, Shizuoka"),
    ("530-0001", "大阪府大阪市北区梅田", "オオサカフオオサカシキタクウメダ", "Umeda, Kita-ku, Osaka-shi, Osaka"),
    ("542-0076", "大阪府大阪市中央区難波", "オオサカフオオサカシチュウオウクナンバ", "Namba, Chuo-ku, Osaka-shi, Osaka"),
    ("600-8216", "京都府京都市下京区烏丸通七条下る東塩小路町", "キョウトフキョウトシシモギョウクヒガシシオコウジチョウ", "Higashi-Shiokoji-cho, Shimogyo-ku, Kyoto-shi, Kyoto"),
    ("650-0021", "兵庫県神戸市中央区三宮町", "ヒョウゴケンコウベシチュウオウクサンノミヤチョウ", "Sannomiya-cho, Chuo-ku, Kobe-shi, Hyogo"),
    ("700-0901", "岡山県岡山市北区本町", "オカヤマケンオカヤマシキタクホンマチ", "Honmachi, Kita-ku, Okayama-shi, Okayama"),
    ("730-0011", "広島県広島市中区基町", "ヒロシマケンヒロシマシナカクモトマチ", "Motomachi, Naka-ku, Hiroshima-shi, Hiroshima"),
    ("760-0019", "香川県高松市サンポート", "カガワケンタカマツシサンポート", "Sunport, Takamatsu-shi, Kagawa"),
    ("790-0003", "愛媛県松山市三番町", "エヒメケンマツヤマシサンバンチョウ", "Sanbancho, Matsuyama-shi, Ehime"),
    ("812-0011", "福岡県福岡市博多区博多駅前", "フクオカケンフクオカシハカタクハカタエキマエ", "Hakataekimae, Hakata-ku, Fukuoka-shi, Fukuoka"),
    ("860-0804", "熊本県熊本市中央区辛島町", "クマモトケンクマモトシチュウオウクカラシマチョウ", "Karashima-cho, Chuo-ku, Kumamoto-shi, Kumamoto"),
    ("890-0053", "鹿児島県鹿児島市中央町", "カゴシマケンカゴシマシチュウオウチョウ", "Chuo-cho, Kagoshima-shi, Kagoshima"),
    ("900-0014", "沖縄県那覇市松尾", "オキナワケンナハシマツオ", "Matsuo, Naha-shi, Okinawa"),
)  # fmt: skip
BUILDINGS = ("", "", "", "", "コーポ青葉", "サンハイツ", "グランメゾン壱番館", "第2三﨑ビル")
CITIES = (
    ("US", "Main Street, Springfield, IL 62701"),
    ("GB", "High Street, Leeds LS1 1AA"),
    ("SG", "Orchard Road, Singapore 238801"),
    ("HK", "Queen's Road Central, Hong Kong"),
    ("TW", "Zhongxiao E. Rd., Taipei 106"),
    ("KR", "Teheran-ro, Gangnam-gu, Seoul 06134"),
    ("DE", "Hauptstrasse, 10827 Berlin"),
    ("AU", "George Street, Sydney NSW 2000"),
)
MAIL_HOSTS = ("example.com", "example.net", "example.org", "example.jp", "mail.example.com", "keitai.example.jp")
