"""The sentences that all generated data are made of, and the vocabularies that know their characters."""

from __future__ import annotations

import string

__all__ = ["ENGLISH", "LABELS", "SENTENCES", "WORDS", "sentence", "vocabulary", "words_of"]

SENTENCES = [
    "今天的天气真不错，我们去公园里走走吧。",
    "这家饭店的菜很好吃，服务也很周到。",
    "手机的电池用了半年就坏了，让人失望。",
    "北京是中国的首都，有三千多年的历史。",
    "他在图书馆里读了一整天的小说。",
    "小猫趴在窗台上，看着外面的雨。",
    "火车晚点了两个小时，大家都很着急。",
    "苹果多少钱一斤，能不能便宜一点？",
    "科学技术是第一生产力，教育是根本。",
    "昨天的比赛十分精彩，主队以三比二获胜。",
    "李明毕业于上海大学，后来在杭州工作。",
    "王芳写了一本书，书名叫做春天的路。",
    "医生说多喝水、多休息，病就会好起来。",
    "公司今年的收入增长了百分之十五。",
    "学校门口新开了一家花店，生意很好。",
    "怎么样才能学好外语？每天读一点就行。",
    "老师让我们把作业写完再回家吃饭。",
    "山上的雪还没有化，路上的车很少。",
    "电影的结尾让人想哭，演员演得真好。",
    "新的软件可以把文字翻译成很多种语言。",
]
ENGLISH = [
    "a man is riding a brown horse on the beach .",
    "two children play football in the park .",
    "the old woman reads a book by the window .",
    "a dog runs through the snow with a stick .",
    "someone is cooking rice in a small kitchen .",
    "the train leaves the station at nine .",
    "a girl sings while her friend plays the piano .",
    "people wait for the bus in the rain .",
]
# Words that are one token in vocabularies of words, and names that scripts ask for.
WORDS = ["今天", "天气", "公园", "饭店", "手机", "电池", "北京", "中国", "首都", "历史", "小说", "火车", "科学", "技术"]
WORDS += ["教育", "比赛", "大学", "工作", "医生", "公司", "收入", "学校", "外语", "老师", "作业", "电影", "软件"]
LABELS = "地址图书公司游戏政府姓名组织职务景点毕业院校作者出生地点主角事件类型角色触发词时间金额答案选项"
# Characters of labels and patterns of FewCLUE.
LABELS += "一三不且为乐事二云交人体全关农化医十即历史右同哲大好子学小工左差并异很心意技摘故教数"
LABELS += "四五六七八九以所但因此而如果虽"
LABELS += "文新无是极林正气水法济消满物理电确科积程管经美育自英药言计词语误说财通错键闻难非音题风然"
PUNCTUATION = "，。！？；：、“”‘’（）《》…—·「」"
PINNED = {511: "。"}  # scripts name the full stop by its id
SPECIALS = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}


def sentence(index: int) -> str:
    """Return one of the sentences; indexes wrap around."""
    return SENTENCES[index % len(SENTENCES)]


def words_of(text: str) -> list[str]:
    """Return a text in pieces of one and two characters, as a segmenter might cut it."""
    pieces, position = [], 0
    while position < len(text):
        size = 2 if text[position : position + 2] in WORDS else 1
        pieces.append(text[position : position + size])
        position += size
    return pieces


def vocabulary(words: bool = False, english: bool = False) -> list[str]:
    """Return the lines of a vocab.txt that has the layout of Google's: specials, unused, characters, pieces.

    Args:
        words: with whole words, as WoBERT and T5-PEGASUS have.
        english: with English words.
    """
    ascii_characters = [c for c in string.printable if not c.isspace() and not c.isupper()]
    characters = sorted({*"".join(SENTENCES), *LABELS, *PUNCTUATION} - {*ascii_characters, *PINNED.values()})
    pieces = [*ascii_characters, *characters]
    pieces += [f"##{c}" for c in [*string.ascii_lowercase, *string.digits, *characters]]
    if english or not words:
        pieces += sorted({word for line in ENGLISH for word in line.split()} - {*pieces})
    if words:
        pieces += WORDS
    fixed = {**SPECIALS, **PINNED}
    tokens: list[str] = []
    unused = 0
    while pieces or len(tokens) <= max(fixed):
        if len(tokens) in fixed:
            tokens.append(fixed[len(tokens)])
        elif len(tokens) < 100 or not pieces:
            unused += 1
            tokens.append(f"[unused{unused}]")
        else:
            tokens.append(pieces.pop(0))
    return tokens
