"""The labels of each task, as its files have them, with what they mean in Chinese; and files of labels."""

from __future__ import annotations

import json
import os

__all__ = [
    "CSLDCP_LABELS", "ENTITY_TYPES", "IFLYTEK_LABELS", "NLI_LABELS", "SAME_LABELS", "TNEWS_LABELS", "read_labels",
]  # fmt: skip

# Class numbers of TNEWS; 105 and 111 do not occur.
TNEWS_LABELS = {
    "100": "故事", "101": "文化", "102": "娱乐", "103": "体育", "104": "财经",
    "106": "房产", "107": "汽车", "108": "教育", "109": "科技", "110": "军事",
    "112": "旅游", "113": "国际", "114": "证券", "115": "农业", "116": "电竞",
}  # fmt: skip

NLI_LABELS = {"entailment": "蕴含", "neutral": "中立", "contradiction": "矛盾"}
SAME_LABELS = {"0": "不同义", "1": "同义"}
CSL_LABELS = {"0": "有伪造的关键词", "1": "全是真实的关键词"}
WSC_LABELS = {"false": "不指代", "true": "指代"}
SENTIMENT_LABELS = {"Negative": "负向", "Positive": "正向"}

# Types of CLUENER in alphabetical order.
ENTITY_TYPES = {
    "address": "地址", "book": "书名", "company": "公司", "game": "游戏", "government": "政府",
    "movie": "电影", "name": "姓名", "organization": "组织机构", "position": "职位", "scene": "景点",
}  # fmt: skip

_IFLYTEK = (
    "打车 地图导航 免费WIFI 租车 同城服务 快递物流 婚庆 家政 公共交通 政务 社区服务 薅羊毛 魔幻 仙侠 卡牌 "
    "飞行空战 射击游戏 休闲益智 动作类 体育竞技 棋牌中心 经营养成 策略 MOBA 辅助工具 约会社交 即时通讯 工作社交 "
    "论坛圈子 婚恋社交 情侣社交 社交工具 生活社交 微博博客 新闻 漫画 小说 技术 教辅 问答交流 搞笑 杂志 百科 "
    "影视娱乐 求职 兼职 视频 短视频 音乐 直播 电台 K歌 成人 中小学 职考 公务员 英语 视频教育 高等教育 成人教育 "
    "艺术 语言(非英语) 旅游资讯 综合预定 民航 铁路 酒店 行程管理 民宿短租 出国 工具 亲子儿童 母婴 驾校 违章 "
    "汽车咨询 汽车交易 日常养车 行车辅助 租房 买房 装修家居 电子产品 问诊挂号 养生保健 医疗服务 减肥瘦身 "
    "美妆美业 菜谱 餐饮店 体育咨讯 运动健身 支付 保险 股票 借贷 理财 彩票 记账 银行 美颜 影像剪辑 摄影修图 相机 "
    "绘画 二手 电商 团购 外卖 电影票务 社区超市 购物咨询 笔记 办公 日程管理 女性 经营 收款 其他"
)
IFLYTEK_LABELS = {str(number): name for number, name in enumerate(_IFLYTEK.split())}

_CSLDCP = (
    "材料科学与工程 作物学 口腔医学 药学 教育学 水利工程 理论经济学 食品科学与工程 畜牧学/兽医学 体育学 "
    "核科学与技术 力学 园艺学 水产 法学 地质学/地质资源与地质工程 石油与天然气工程 农林经济管理 信息与通信工程 "
    "图书馆、情报与档案管理 政治学 电气工程 海洋科学 民族学 航空宇航科学与技术 化学/化学工程与技术 哲学 "
    "公共卫生与预防医学 艺术学 农业工程 船舶与海洋工程 计算机科学与技术 冶金工程 交通运输工程 "
    "动力工程及工程热物理 纺织科学与工程 建筑学 环境科学与工程 公共管理 数学 物理学 林学/林业工程 心理学 历史学 "
    "工商管理 应用经济学 中医学/中药学 天文学 机械工程 土木工程 光学工程 地理学 农业资源利用 "
    "生物学/生物科学与工程 兵器科学与技术 矿业工程 大气科学 基础医学/临床医学 电子科学与技术 测绘科学与技术 "
    "控制科学与工程 军事学 中国语言文学 新闻传播学 社会学 地球物理学 植物保护"
)
CSLDCP_LABELS = {name: name for name in _CSLDCP.split()}


def read_labels(path: str | os.PathLike) -> dict[str, str]:
    """Return the labels of a file of labels, in its order, with their descriptions.

    Args:
        path: as CLUE has them (labels.json: a line with "label" and "label_des" or "label_desc" for each; "label_zh"
            where it is there) or FewCLUE (labels_all.txt: a label a line).

    Raises:
        ValueError: if a line is none of these, or a label stands there twice; it names file and line.
    """
    found: dict[str, str] = {}
    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not (text := line.strip()):
                continue
            label = description = text
            if text.startswith("{"):
                try:
                    row = json.loads(text)
                    label = str(row["label"])
                except (ValueError, KeyError) as error:
                    raise ValueError(
                        f'{os.fspath(path)}, line {number}: no object with a "label" ({text!r})'
                    ) from error
                description = next((row[key] for key in ("label_zh", "label_des", "label_desc") if key in row), label)
            if label in found:
                raise ValueError(f"{os.fspath(path)}, line {number}: the label {label!r} stands there twice")
            found[label] = description
    return found
