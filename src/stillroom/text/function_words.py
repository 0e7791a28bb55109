"""English words that say little by themselves: nearly every text holds some, whatever it is about."""

FUNCTION_WORDS = frozenset(
    """
    a about above after again ago all almost also altogether always am among an and another any are as at away back be
    became because become becomes been before being below between both but by can cannot come comes could did do does
    doing done down during each either else enough ever every everyone everything few first for from further gave get
    gets getting give given gives giving go goes going gone got had has have having he her here hers herself him himself
    his how however i if in instead into is it its itself just know last later least left less let like made make makes
    making many may me might mine more most much must my myself need needs neither never next no none nor not now of off
    often on once one ones only onto or other others our ours out over own per please put same say says second she
    should since so some someone something soon still such take takes taken taking than that the their theirs them then
    there these they thing things third this those though through till to together too took total under until up upon us
    use used uses using very via want wanted wants was we well went were what whatever when where whether which while who
    whom whose why will with within without would yes yet you your yours yourself
    arent cant couldnt didnt doesnt dont hadnt hasnt havent hes heres hows im isnt ive lets shes shouldnt thats theres
    theyre theyve wasnt were werent whats wheres whos wont wouldnt youre youve
    """.split()
)
