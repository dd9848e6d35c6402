"""The Chinese words of the captions; spaces part the words, which become pieces of the vocabulary."""

from __future__ import annotations

from renderer.miniature.captions.words import Options, Words

KIND: Words = {
    "girl": ("小女孩", "女孩", "小姑娘", "女生", "少女"),
    "boy": ("小男孩", "男孩", "男生", "少年"),
    "woman": ("女人", "女子", "年轻 女人", "女士", "阿姨"),
    "man": ("男人", "男子", "年轻 男人", "男士", "叔叔"),
}

HAIR_COLOR: Words = {
    "purple": ("紫色",),
    "black": ("黑色",),
    "brown": ("棕色", "褐色"),
    "blonde": ("金色", "金黄色"),
    "pink": ("粉色", "粉红色"),
    "blue": ("蓝色",),
    "red": ("红色",),
    "silver": ("银色", "银白色"),
}

HAIR_STYLE: Words = {
    "short": ("短发",),
    "long": ("长发",),
    "ponytail": ("马尾", "马尾辫", "单马尾"),
    "twintails": ("双马尾", "双马尾辫"),
}

OUTFIT: Words = {
    "dress": ("连衣裙", "裙子"),
    "shirt": ("T恤", "短袖", "上衣", "衬衫"),
    "coat": ("外套", "大衣"),
    "sweater": ("毛衣", "针织衫"),
    "uniform": ("校服", "制服", "学生 制服"),
}

OUTFIT_COLOR: Words = {
    "pink": ("粉色", "粉红色"),
    "black": ("黑色",),
    "white": ("白色",),
    "blue": ("蓝色",),
    "red": ("红色",),
    "yellow": ("黄色",),
    "green": ("绿色",),
    "purple": ("紫色",),
}

ACCESSORY: Words = {
    "glasses": ("戴着 眼镜", "戴 眼镜"),
    "hat": ("戴着 帽子", "戴 帽子", "头 上 戴着 帽子"),
    "scarf": ("围着 围巾", "戴着 围巾", "系着 围巾"),
    "bow": ("头 上 戴着 蝴蝶结", "戴着 蝴蝶结", "头发 上 系着 蝴蝶结"),
}

EXPRESSION: Words = {
    "smiling": ("微笑", "微笑着", "面带 微笑", "温柔 地 微笑"),
    "laughing": ("开心 大笑", "大笑", "开心 地 笑", "高兴", "开心", "快乐"),
    "crying": ("难过 流泪", "难过", "伤心", "哭泣", "流泪", "哭"),
    "bored": ("无聊", "无聊 发呆", "发呆", "百无聊赖"),
    "singing": ("唱歌", "张嘴 唱歌", "正在 唱歌", "歌唱"),
    "eyes_closed": ("闭着 眼睛", "闭眼", "闭上 眼睛", "安静 地 闭着 眼睛"),
    "surprised": ("惊讶", "吃惊", "惊讶 的 表情", "惊喜", "吓了 一跳"),
    "angry": ("生气", "愤怒", "气鼓鼓", "生气 的 表情", "皱着 眉头"),
}

ADVERB: Words = {
    "smiling": ("微笑着", "面带 微笑"),
    "laughing": ("开心 地", "大笑着", "高兴 地", "快乐 地"),
    "crying": ("难过 地", "流着泪", "伤心 地", "哭着"),
    "bored": ("无聊 地", "百无聊赖 地"),
    "singing": ("唱着歌",),
    "eyes_closed": ("闭着 眼睛",),
    "surprised": ("惊讶 地", "吃惊 地"),
    "angry": ("生气 地", "气鼓鼓 地"),
}
"""The feeling before a verb."""

FEELING: Words = {
    "smiling": ("微笑",),
    "laughing": ("开心 地 笑", "大笑"),
    "crying": ("伤心 地 哭", "流泪", "哭泣"),
    "bored": ("无聊 地 发呆", "发呆"),
    "singing": ("唱歌",),
    "eyes_closed": ("闭着 眼睛",),
    "surprised": ("露出 惊讶 的 表情", "惊讶 地 张着嘴"),
    "angry": ("生气", "露出 生气 的 表情"),
}
"""The feeling as the verb of a sentence."""

ACTION: Words = {
    "resting": ("双手 放下", "手 放在 身边"),
    "waving": ("挥手", "挥着手", "挥手 打招呼", "招手"),
    "arms_raised": ("举起 双手", "双手 高举", "举起 双手 欢呼", "欢呼"),
    "hand_on_chin": ("托着腮", "托腮", "双手 托着腮", "手 托着 下巴", "用 手 托着 脸"),
    "hands_clasped": ("双手 合十", "许愿", "双手 合十 许愿", "祈祷"),
    "microphone": ("拿着 麦克风", "手 拿 麦克风", "握着 话筒", "对着 麦克风"),
    "reading": ("看书", "读书", "捧着 书", "拿着 一 本 书", "正在 看书"),
    "umbrella": ("撑着 伞", "打着 伞", "撑着 雨伞", "拿着 雨伞"),
    "cup": ("端着 杯子", "端着 一 杯 热茶", "捧着 杯子", "拿着 杯子", "喝茶"),
    "flower": ("拿着 一 朵 花", "拿着 花", "捧着 鲜花", "手 里 拿着 花"),
}

SEAT: Words = {
    "living_room": ("坐在 {sofa} 沙发 上",),
    "bedroom": ("坐在 床 上", "坐在 床边"),
    "library": ("坐在 扶手椅 上", "坐在 椅子 上"),
    "train": ("坐在 座位 上", "坐在 车窗 边"),
    "park": ("坐在 长椅 上",),
}

SEAT_IN_PLACE: Words = {
    "living_room": ("坐在 家里 的 {sofa} 沙发 上", "坐在 客厅 的 {sofa} 沙发 上"),
    "bedroom": ("坐在 卧室 的 床 上", "坐在 卧室 里"),
    "library": ("坐在 图书馆 的 椅子 上", "坐在 图书馆 里"),
    "train": ("坐在 火车 上", "坐在 火车 上 看着 窗外", "坐在 车厢 里", "坐 火车"),
    "park": ("坐在 公园 的 长椅 上", "坐在 公园 长椅 上"),
}

SPOT: Words = {
    "living_room": ("客厅 里", "家里 的 客厅 里", "家里"),
    "bedroom": ("卧室 里", "卧室", "房间 里", "床边"),
    "kitchen": ("厨房 里", "厨房", "家里 的 厨房 里"),
    "classroom": ("教室 里", "教室", "学校 的 教室 里", "学校 里"),
    "library": ("图书馆 里", "图书馆", "书架 前"),
    "practice_room": ("练习室 里", "舞蹈室 里", "排练室 里", "练舞室"),
    "fitting_room": ("试衣间 里", "试衣间", "更衣室 里", "试衣间 的 镜子 前"),
    "stage": ("舞台 上", "聚光灯 下", "演唱会 的 舞台 上"),
    "train": ("火车 上", "火车 里", "列车 上", "车厢 里"),
    "street": ("城市 街道 上", "街 上", "街道 上", "城市 街头", "城市 里"),
    "park": ("公园 里", "公园", "公园 的 草地 上"),
    "forest": ("森林 里", "森林", "树林 里"),
    "seaside": ("海边", "沙滩 上", "大海 边", "海滩 上"),
    "snow": ("雪地 里", "雪 中", "雪地 上"),
    "rain": ("雨 中", "雨 里"),
    "starry_sky": ("星空 下", "夜空 下", "满天 繁星 下", "流星 下"),
}
"""Where one is: after 在, before 有."""

NAME: Words = {
    "living_room": ("客厅", "家里 的 客厅"),
    "bedroom": ("卧室", "房间"),
    "kitchen": ("厨房",),
    "classroom": ("教室", "学校 教室"),
    "library": ("图书馆",),
    "practice_room": ("练习室", "舞蹈室", "排练室"),
    "fitting_room": ("试衣间", "更衣室"),
    "stage": ("舞台", "演唱会 舞台"),
    "train": ("火车 车厢", "火车", "车厢"),
    "street": ("城市 街道", "街道"),
    "park": ("公园",),
    "forest": ("森林", "树林"),
    "seaside": ("海边", "海滩", "沙滩", "大海"),
    "snow": ("雪地", "雪景", "冬天 的 雪地"),
    "rain": ("雨天", "下雨天"),
    "starry_sky": ("星空", "夜空", "繁星"),
}

EVENT: Words = {
    "practice_room": ("在 练习室 里 练习", "在 舞蹈室 练舞", "在 排练室 排练"),
    "fitting_room": ("在 试衣间 照镜子", "在 试衣间 里 试 衣服"),
    "stage": ("在 舞台 上 表演",),
    "train": ("在 火车 上 看着 窗外", "坐 火车"),
    "street": ("走在 街 上", "走在 城市 街道 上"),
    "forest": ("走在 森林 里",),
    "snow": ("下雪", "下着雪", "雪地 里 有 雪人"),
    "rain": ("下雨", "下着雨", "走在 雨 中"),
    "starry_sky": ("夜空 中 有 流星", "流星 划过 夜空"),
}
"""What people do or what happens in a place; it names the place."""

TOGETHER: Words = {
    "rain umbrella": ("撑着 伞 走在 雨 中", "在 雨 中 撑着 伞"),
    "library reading": ("在 图书馆 看书", "在 图书馆 里 读书"),
    "train reading": ("在 火车 上 看书",),
    "stage microphone": ("拿着 麦克风 站在 舞台 上",),
}
"""A place and an action in one breath."""

TIME: Words = {"day": ("白天",), "sunset": ("黄昏", "傍晚"), "night": ("夜晚", "晚上", "夜里", "深夜")}
TIME_OUTDOORS: Words = {
    "day": ("白天", "晴天", "阳光 明媚"),
    "sunset": ("黄昏", "日落", "夕阳 下", "傍晚"),
    "night": TIME["night"],
}
"""For places under the open sky where neither snow nor rain falls."""

FRAMING: Words = {
    "close": ("特写", "头像", "近景", "脸部 特写"),
    "half": ("半身", "半身像", "中景", "上半身"),
    "full": ("全身", "全身像", "全景"),
    "wide": ("远景", "大 远景", "人物 很小"),
}

STYLE: Words = {
    "plain": ("动漫 风格", "动漫", "卡通", "绘本 风格", "绘本 插画", "二次元"),
    "night_blue": ("夜蓝 风格", "夜蓝 色调", "深蓝 单色", "蓝色调 插画"),
    "warm_paper": ("暖纸 风格", "旧纸 风格", "泛黄 纸张", "复古 暖色调"),
    "pencil": ("铅笔画", "铅笔 素描", "素描 风格", "黑白 铅笔画"),
}

SOFA_COLOR: Words = {color: OUTFIT_COLOR[color] for color in ("red", "blue", "green")}

THING: Words = {
    "cat": ("猫", "小猫", "猫咪"),
    "dog": ("狗", "小狗"),
    "rabbit": ("兔子", "小兔子"),
    "bird": ("小鸟", "鸟"),
    "balloon": ("气球",),
    "bicycle": ("自行车", "单车"),
}

THING_COLOR: Words = {
    "black": ("黑色", "黑"),
    "white": ("白色", "白"),
    "orange": ("橘色", "橙色", "橘"),
    "brown": ("棕色", "褐色"),
    "grey": ("灰色", "灰"),
    "blue": ("蓝色", "蓝"),
    "yellow": ("黄色", "黄"),
    "red": ("红色", "红"),
}

MEASURE = {"cat": "只", "dog": "只", "rabbit": "只", "bird": "只", "balloon": "个", "bicycle": "辆"}
COUNT = {1: "一", 2: "两", 3: "三"}

BESIDE: Options = ("身边 有", "旁边 有", "和", "旁边 是", "带着")
NOBODY: Options = ("无人", "空镜", "没有 人", "空无一人", "空 场景")
SCENERY: Options = ("风景", "风景画", "风光")

GLUE: Options = (
    "一个 一位 一名 两个 另一个 人 几 张 一起 左边 右边 旁边 有 和 与 的 是",
    "在 站在 站着 站立 坐着 穿着 身穿 留着 扎着 发 衣服 头发 沙发",
)
"""The words that stand between these."""

FILLERS: Options = (
    "高清",
    "精美",
    "可爱",
    "高质量",
    "小美",
    "梅梅",
    "小明",
    "温暖",
    "干净 的 线条",
    "色彩 明亮",
    "故事",
    "今天",
    "杰作",
)
"""Words that a prompt may well hold and a picture cannot show: the model learns to read past them."""
