"""The words of the captions, in Chinese and English; the first of each list is the plainest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Language = Literal["zh", "en"]
Words = Mapping[str, tuple[str, ...]]

SUBJECT: Mapping[Language, Words] = {
    "zh": {"girl": ("小女孩", "女孩", "小姑娘", "女生"), "boy": ("小男孩", "男孩", "男生")},
    "en": {"girl": ("little girl", "girl", "young girl"), "boy": ("little boy", "boy", "young boy")},
}

HAIR_COLOR: Mapping[Language, Words] = {
    "zh": {
        "purple": ("紫色", "紫"),
        "black": ("黑色", "黑"),
        "brown": ("棕色", "棕"),
        "blonde": ("金色", "金"),
        "pink": ("粉色", "粉"),
        "blue": ("蓝色", "蓝"),
    },
    "en": {color: (color,) for color in ("purple", "black", "brown", "blonde", "pink", "blue")},
}

HAIR_LENGTH: Mapping[Language, Words] = {
    "zh": {"short": ("短发",), "long": ("长发",)},
    "en": {"short": ("short",), "long": ("long",)},
}

OUTFIT: Mapping[Language, Words] = {
    "zh": {"dress": ("连衣裙", "裙子"), "shirt": ("T恤", "短袖", "条纹T恤"), "coat": ("外套", "大衣")},
    "en": {"dress": ("dress",), "shirt": ("t-shirt", "striped shirt", "shirt"), "coat": ("coat", "jacket")},
}

OUTFIT_COLOR: Mapping[Language, Words] = {
    "zh": {
        "pink": ("粉色", "粉红色"),
        "black": ("黑色",),
        "white": ("白色",),
        "blue": ("蓝色",),
        "red": ("红色",),
        "yellow": ("黄色",),
    },
    "en": {color: (color,) for color in ("pink", "black", "white", "blue", "red", "yellow")},
}

EXPRESSION: Mapping[Language, Words] = {
    "zh": {
        "smiling": ("微笑", "微笑着", "面带微笑", "温柔地微笑"),
        "laughing": ("开心大笑", "大笑", "开心地笑", "高兴", "开心", "快乐"),
        "crying": ("难过流泪", "难过", "伤心", "哭泣", "流泪", "哭"),
        "bored": ("无聊", "无聊发呆", "发呆", "百无聊赖"),
        "singing": ("唱歌", "张嘴唱歌", "正在唱歌", "歌唱"),
        "eyes_closed": ("闭着眼睛", "闭眼", "闭上眼睛", "安静地闭着眼睛"),
    },
    "en": {
        "smiling": ("smiling", "with a smile", "gentle smile"),
        "laughing": ("laughing", "laughing happily", "happy", "joyful"),
        "crying": ("crying", "sad", "in tears", "sad and crying"),
        "bored": ("bored", "looking bored", "bored expression"),
        "singing": ("singing", "singing with open mouth", "sings a song"),
        "eyes_closed": ("eyes closed", "with closed eyes", "closing eyes"),
    },
}

ACTION: Mapping[Language, Words] = {
    "zh": {
        "resting": ("双手放下", "手放在身边"),
        "waving": ("挥手", "挥着手", "挥手打招呼", "招手"),
        "arms_raised": ("举起双手", "双手高举", "举起双手欢呼", "欢呼"),
        "hand_on_chin": ("托着腮", "托腮", "手托着下巴", "用手托着脸"),
        "hands_clasped": ("双手合十", "许愿", "双手合十许愿", "祈祷"),
        "microphone": ("拿着麦克风", "手拿麦克风", "握着话筒", "对着麦克风"),
    },
    "en": {
        "resting": ("arms down", "hands at the sides"),
        "waving": ("waving", "waving a hand", "waving hello"),
        "arms_raised": ("arms raised", "raising both arms", "cheering", "hands up"),
        "hand_on_chin": ("hand on chin", "chin in hand", "resting chin on hand", "hand on cheek"),
        "hands_clasped": ("hands clasped", "making a wish", "praying", "hands together"),
        "microphone": ("holding a microphone", "with a microphone", "microphone in hand"),
    },
}

POSTURE: Mapping[Language, Words] = {
    "zh": {
        "standing": ("站着", "站立"),
        "sitting": ("坐在{sofa}沙发上", "坐着", "坐在家里的{sofa}沙发上"),
    },
    "en": {
        "standing": ("standing",),
        "sitting": ("sitting on the {sofa}sofa", "sitting on a {sofa}sofa", "on the {sofa}couch"),
    },
}
"""`{sofa}` is the sofa's color, or nothing."""

SOFA: Mapping[Language, Words] = {
    "zh": {"red": ("红色", "红色的"), "blue": ("蓝色", "蓝色的")},
    "en": {"red": ("red ",), "blue": ("blue ",)},
}

PLACE: Mapping[Language, Words] = {
    "zh": {
        "living_room": ("在客厅里", "在家里的客厅", "客厅", "在家里", "家中客厅"),
        "park": ("在公园里", "在公园", "公园里", "公园", "公园的草地上"),
        "seaside": ("在海边", "海边", "在沙滩上", "在大海边", "海滩"),
        "starry_sky": ("在星空下", "流星划过的夜空下", "星空", "满天繁星", "在流星下", "夜空中有流星"),
        "classroom": ("在教室里", "在教室", "教室里", "教室", "在学校的教室里"),
        "stage": ("在舞台上", "舞台上", "舞台", "在聚光灯下", "在演唱会的舞台上"),
        "bedroom": ("在卧室里", "在卧室", "卧室", "在房间里", "在床边"),
        "city": ("在城市街道上", "城市街道", "在街上", "城市街头", "在城市里", "走在街道上"),
        "snow": ("在雪地里", "雪地", "下雪", "在雪中", "雪地里有雪人", "冬天的雪地"),
    },
    "en": {
        "living_room": ("in the living room", "at home", "at home in the living room", "living room"),
        "park": ("in the park", "in a park", "at the park", "park"),
        "seaside": ("by the sea", "at the seaside", "at the beach", "on the beach", "seaside", "at sea"),
        "starry_sky": ("under the starry sky", "starry sky", "under a sky full of stars", "with a shooting star"),
        "classroom": ("in the classroom", "in a classroom", "at school", "classroom"),
        "stage": ("on the stage", "on stage", "stage", "in the spotlight", "at a concert on stage"),
        "bedroom": ("in the bedroom", "in a bedroom", "bedroom", "by the bed"),
        "city": ("on a city street", "in the city", "on the street", "city street"),
        "snow": ("in the snow", "snow", "in a snowy field", "with a snowman", "on a snowy winter day"),
    },
}

TIME: Mapping[Language, Words] = {
    "zh": {
        "day": ("白天", "晴天", "阳光明媚"),
        "sunset": ("黄昏", "日落", "夕阳下", "傍晚"),
        "night": ("夜晚", "晚上", "夜里", "深夜"),
    },
    "en": {
        "day": ("daytime", "by day", "sunny day", "day"),
        "sunset": ("at sunset", "sunset", "at dusk", "evening"),
        "night": ("at night", "night", "night time"),
    },
}

FRAMING: Mapping[Language, Words] = {
    "zh": {"close": ("特写", "头像", "近景"), "half": ("半身", "半身像", "中景"), "full": ("全身", "全身像", "远景")},
    "en": {
        "close": ("close-up", "portrait", "face"),
        "half": ("half body", "medium shot", "upper body"),
        "full": ("full body", "full shot", "wide shot"),
    },
}

STYLE: Mapping[Language, tuple[str, ...]] = {
    "zh": ("动漫风格", "动漫", "卡通", "绘本风格", "绘本插画"),
    "en": ("anime style", "anime", "cartoon", "picture book illustration", "children's book style"),
}

FILLERS: Mapping[Language, tuple[str, ...]] = {
    "zh": (
        "高清",
        "精美",
        "可爱",
        "高质量",
        "小美",
        "梅梅",
        "小明",
        "温暖",
        "干净的线条",
        "色彩明亮",
        "故事",
        "今天",
        "杰作",
    ),
    "en": (
        "masterpiece",
        "best quality",
        "cute",
        "Mei",
        "Lily",
        "Tom",
        "Leo",
        "warm colors",
        "clean lines",
        "detailed",
        "once upon a time",
    ),
}
"""Words that a prompt may well hold and a picture cannot show: the model learns to read past them."""
