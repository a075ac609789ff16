import pytest
U={"role":"user","content":"hi"}
CASES=[
 {"messages":[{"role":"user","content":["x"]}]},
 {"messages":[{"role":"user","content":5}]},
 {"messages":[{"role":"user","content":[{"type":"text"}]}]},
 {"messages":[{"role":"user","content":[{"type":"text","text":5}]}]},
 {"messages":[{"role":"user","content":[{"type":"image_url"}]}]},
 {"messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]},
 {"messages":[{"role":"user","content":[{"type":"image_url","image_url":5}]}]},
 {"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:nonsense"}}]}]},
 {"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,@@@"}}]}]},
 {"messages":[{"role":"user","content":[{"text":"no type"}]}]},
 {"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"x","format":"wav"}}]}]},
 {"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"x"}}]}]},
 {"messages":[U,{"role":"assistant","content":None,"tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"not json"}}]},U]},
 {"messages":[U,{"role":"assistant","content":None,"tool_calls":["x"]},U]},
 {"messages":[U,{"role":"assistant","content":None,"tool_calls":[{}]},U]},
 {"messages":[U,{"role":"assistant","content":None,"tool_calls":{"a":1}},U]},
 {"messages":[U,{"role":"assistant","content":None},U]},
 {"messages":[U,{"role":"tool","content":"x"}]},
 {"messages":[{"role":"system","content":"only"}]},
 {"messages":[{"role":"system","content":[5]},U]},
 {"messages":[U,{"role":"assistant","content":"x","thinking_blocks":"y"},U]},
 {"messages":[U],"tools":["x"]},
 {"messages":[U],"tools":[{"type":"function"}]},
 {"messages":[U],"tools":{"a":1}},
 {"messages":[U],"tools":[{"type":"web_search"}]},
 {"messages":[U],"tool_choice":5},
 {"messages":[U],"tool_choice":{"type":"function"}},
 {"messages":[U],"tool_choice":{"type":"function","function":"x"}},
 {"messages":[U],"response_format":"json"},
 {"messages":[U],"response_format":{"type":"json_schema"}},
 {"messages":[U],"response_format":{"type":"json_schema","json_schema":5}},
 {"messages":[U],"stop":5},
 {"messages":[U],"stop":[5]},
 {"messages":[U],"max_tokens":"many"},
 {"messages":[U],"reasoning_effort":5},
 {"messages":[U],"reasoning_effort":"xhigh"},
 {"messages":[U],"reasoning_effort":"low","max_tokens":"x"},
 {"messages":[U],"temperature":"hot"},
 {"messages":[U],"stream_options":{"include_usage":"yes"}},
 {"messages":[U],"n":True},
 {"messages":[U],"n":0.5},
 {"messages":[U],"model":5},
 {"messages":[U],"metadata":{"a":None}},
 {"messages":[U],"user":5},
 {"messages":[U],"store":"false"},
 {"messages":[{"role":"user","content":"\ud800"}]},
 {"messages":[{"role":"user","content":"a\x00b"}]},
 {"messages":[{"role":"metadata","content":"a"},U]},
 {"messages":[{"role":5,"content":"a"},U]},
 {"messages":[U],"thinking":5},
 {"messages":[U],"parallel_tool_calls":"x"},
]
def test_x(gateway):
    for prov in ("open_ai","anthropic","google","echo"):
        m=gateway.model("good",provider=prov)
        for c in CASES:
            for st in (False,True):
                before=gateway.count()
                r=gateway.http.post("/api/v1/chat/completions",json={"model":m,**c,"stream":st})
                after=gateway.count()
                bad = r.status_code==500 or "internal_error" in r.text or (r.status_code==200 and after!=before+1)
                if bad or st is False and prov=="anthropic": print("BAD" if bad else "   ",prov,st,r.status_code,after-before,str(c)[:110], "->", "" if r.status_code==200 else r.text[:230])
    # legacy and embeddings
    for prov in ("open_ai","anthropic","echo"):
        m=gateway.model("good",provider=prov)
        for b in [{"prompt":[]},{"prompt":[[1,2],[3]]},{"prompt":[1,2]},{"prompt":[None]},{"prompt":{"a":1}},{"prompt":"x","n":3},{"prompt":["a","b"],"n":2},{"prompt":"","stream":True},{"prompt":"x","suffix":5},{}]:
            r=gateway.http.post("/api/v1/completions",json={"model":m,**b})
            if r.status_code>=500 or prov=="echo": print("L",prov,b,r.status_code,r.text[:200])
        for b in [{"input":[]},{"input":5},{},{"input":"x","encoding_format":5},{"input":"x","encoding_format":"nope"},{"input":[[1,2]]},{"input":"x","dimensions":"x"}]:
            r=gateway.http.post("/api/v1/embeddings",json={"model":m,**b})
            if r.status_code>=500 or prov=="echo": print("E",prov,b,r.status_code,r.text[:200])
