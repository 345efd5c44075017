"""
Old and new, formal and everyday forms of the same characters, as registers of names have them.

Each entry is one character of today followed by its other forms. Two names that differ only in these are one name
written differently; which form stands in a register says nothing about who somebody is. NFKC knows few of them.
"""

_FORMS = """
亜亞 悪惡 圧壓 囲圍 医醫 為爲 壱壹 逸逸 稲稻 飲飮 隠隱 営營 栄榮 衛衞 駅驛 悦悅 謁謁 円圓 縁緣 艶艷 塩鹽 奥奧 応應 欧歐 殴毆
横橫 桜櫻 温溫 穏穩 仮假 価價 画畫 会會 回囘 壊壞 懐懷 絵繪 拡擴 殻殼 覚覺 学學 岳嶽 楽樂 渇渴 鎌鐮 缶罐 巻卷 陥陷 勧勸 寛寬
関關 歓歡 観觀 館舘館 巌巖岩 顔顏 気氣 帰歸 器器 亀龜 偽僞 戯戲 犠犧 旧舊 拠據 挙擧 虚虛 峡峽 挟挾 狭狹 郷鄕 響響 暁曉 勤勤 謹謹
区區 駆驅 勲勳 薫薰 径徑 恵惠 掲揭 渓溪 経經 継繼 茎莖 蛍螢 軽輕 鶏鷄 芸藝 撃擊 欠缺 倹儉 剣劍劔剱 圏圈 検檢 権權 献獻 県縣 険險
顕顯 験驗 厳嚴 広廣 効效 恒恆 黄黃 鉱鑛 号號 国國圀 黒黑 済濟 砕碎 斎齋斉齊 剤劑 殺殺 雑雜 参參 桟棧 蚕蠶 惨慘 賛贊 残殘 糸絲 歯齒
児兒 辞辭 湿濕 実實 写寫 社社 者者 釈釋 寿壽 収收 従從 渋澁 獣獸 縦縱 祝祝 粛肅 処處 緒緖 諸諸 叙敍敘 奨奬 将將 焼燒 祥祥 称稱
証證 乗乘 剰剩 壌壤 嬢孃 条條 浄淨 状狀 畳疊 穣穰 譲讓 醸釀 嘱囑 触觸 寝寢 慎愼 晋晉 真眞 神神 刃刄 尽盡 図圖 粋粹 酔醉 随隨 髄髓
枢樞 数數 瀬瀨 声聲 静靜 摂攝 窃竊 節節 専專 戦戰 浅淺 潜潛 繊纖 践踐 銭錢 禅禪 祖祖 双雙 壮壯 捜搜 挿插 争爭 窓窗 総總 聡聰 荘莊
装裝 騒騷 増增 臓臟 蔵藏 属屬 続續 堕墮 体體 対對 帯帶 滞滯 台臺 滝瀧 択擇 沢澤 単單 担擔 胆膽 団團 弾彈 断斷 痴癡 遅遲 昼晝 虫蟲
鋳鑄 著著 庁廳 徴徵 聴聽 懲懲 勅敕 鎮鎭 塚塚 逓遞 鉄鐵銕 転轉 点點 伝傳 都都 党黨 灯燈 当當 盗盜 稲稻 闘鬪 徳德 独獨 読讀 突突 届屆
難難 弐貳 悩惱 脳腦 覇霸 拝拜 廃廢 売賣 梅梅 麦麥 発發 髪髮 抜拔 繁繁 晩晚 蛮蠻 卑卑 秘祕 碑碑 浜濱濵 賓賓 頻頻 敏敏 瓶甁 福福
払拂 仏佛 併倂 塀塀 並竝 変變 辺邊邉 弁辨辯瓣 勉勉 歩步 穂穗 宝寶 豊豐 褒襃 墨墨 翻飜 毎每 万萬 満滿 免免 黙默 弥彌 訳譯 薬藥 与與
予豫 余餘 誉譽 揺搖 様樣 謡謠 遥遙 来來 頼賴 乱亂 覧覽 欄欄 竜龍 隆隆 虜虜 両兩 猟獵 緑綠 涙淚 塁壘 類類 励勵 礼禮 隷隸 霊靈 齢齡
暦曆 歴歷 恋戀 練練 錬鍊 炉爐 労勞 廊廊 朗朗 楼樓 郎郎 録錄 湾灣 尭堯 桧檜 槙槇 瑶瑤 遥遙 凛凜 祢禰 渚渚 猪猪 琢琢 禎禎 穀穀 飯飯
高髙 崎﨑嵜碕埼 吉𠮷 島嶋嶌 富冨 峰峯 柳栁桺 桑桒 橋槗 渕淵渊 野埜 園薗 翠翆 昇曻 曽曾 桐栒 隈隅 葛葛 鴎鷗 祐祐 靖靖 都都 晴晴 精精
青靑 清淸 節莭 藤籐 船舩 裕裕 鉢鉢 徹徹 凉涼 概槪 即卽 既旣 教敎 歳歲 戸戶 内內 呉吳 黄黃 横橫 舎舍 煕熙熈 恵惠 匂匀 収収 冴冱 秋穐
夘卯 蕊蘂 尚尙 祇祗 砺礪 鯵鰺 蝉蟬 侭儘 曇曇 聖聖 籠篭 壷壺 迩邇 灘灘 鶴靏靍寉 坂阪 須湏 角⻆ 桜櫻 丘邱 館館 条条 杉椙 舟舩 原厡 茂茂
"""


def _table() -> dict[int, str]:
    found: dict[int, str] = {}
    for entry in _FORMS.split():
        today = entry[0]
        for other in entry[1:]:
            if other != today:
                found.setdefault(ord(other), today)
    for code, today in list(found.items()):  # a form of a form
        found[code] = found.get(ord(today), today)
    return found


FORMS = _table()
