"""English words that say little by themselves: nearly every text holds some, whatever it is about."""

_WORDS = """
a about above after again ago all almost also altogether always am among an and another any are arent as at away back
be became because become becomes been before being below between both but by can cannot cant come comes could couldnt
did didnt do does doesnt doing done dont down during each either else enough ever every everyone everything few first
for from further gave get gets getting give given gives giving go goes going gone got had hadnt has hasnt have havent
having he her here heres hers herself hes him himself his how however hows i if im in instead into is isnt it its
itself ive just know last later least left less let lets like made make makes making many may me might mine more most
much must my myself need needs neither never next no none nor not now of off often on once one ones only onto or other
others our ours out over own per please put same say says second she shes should shouldnt since so some someone
something soon still such take taken takes taking than that thats the their theirs them then there theres these they
theyre theyve thing things third this those though through till to together too took total under until up upon us use
used uses using very via want wanted wants was wasnt we well went were werent what whatever whats when where wheres
whether which while who whom whos whose why will with within without wont would wouldnt yes yet you your youre yours
yourself youve
"""
FUNCTION_WORDS = frozenset(_WORDS.split())
