"""The words of an invitation block in ten languages. Written for the simulator; real wording differs in places."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Wording:
    """All texts of a block in one language."""

    tag: str
    meeting: str
    join_title: str
    devices: str
    click: str
    join_now: str
    join: str
    meeting_id: str
    passcode: str
    download: str
    web: str
    learn: str
    options: str
    organizers: str
    reset: str
    help: str
    reference: str
    dial: str
    local: str
    phone_id: str
    toll: str
    video: str
    video_id: str
    video_more: str
    location: str
    skype_join: str
    skype_location: str


_TABLE = """
tag|en-US|de-DE|fr-FR|es-ES|ja-JP|nl-NL|sv-SE|pt-BR|zh-CN|ko-KR
meeting|Microsoft Teams meeting|Microsoft Teams-Besprechung|Réunion Microsoft Teams|Reunión de Microsoft Teams|Microsoft Teams ミーティング|Microsoft Teams-vergadering|Microsoft Teams-möte|Reunião do Microsoft Teams|Microsoft Teams 会议|Microsoft Teams 모임
join_title|Join Microsoft Teams Meeting|An Microsoft Teams-Besprechung teilnehmen|Rejoindre la réunion Microsoft Teams|Unirse a la reunión de Microsoft Teams|Microsoft Teams 会議に参加|Deelnemen aan Microsoft Teams-vergadering|Anslut till Microsoft Teams-möte|Ingressar em Reunião do Microsoft Teams|加入 Microsoft Teams 会议|Microsoft Teams 모임 참가
devices|Join on your computer, mobile app or room device|Am Computer, mit der mobilen App oder im Raum teilnehmen|Rejoindre sur ordinateur, mobile ou appareil de salle|Únase desde el equipo, el móvil o la sala|PC、モバイル、会議室の機器から参加|Deelnemen via computer, mobiel of ruimteapparaat|Delta via dator, mobil eller rumsenhet|Ingresse pelo computador, celular ou sala|在计算机、移动应用或会议室设备上加入|컴퓨터, 모바일 앱 또는 회의실 장치에서 참가
click|Click here to join the meeting|Hier klicken, um teilzunehmen|Cliquer ici pour participer|Haga clic aquí para unirse|こちらをクリックして参加|Klik hier om deel te nemen|Klicka här för att delta|Clique aqui para participar|单击此处加入会议|모임에 참가하려면 여기를 클릭
join_now|Join the meeting now|Jetzt an der Besprechung teilnehmen|Rejoindre la réunion maintenant|Unirse a la reunión ahora|今すぐ会議に参加|Nu deelnemen aan de vergadering|Anslut till mötet nu|Ingressar na reunião agora|立即加入会议|지금 모임에 참가
join|Join|Teilnehmen|Participer|Unirse|参加|Deelnemen|Delta|Ingressar|加入|참가
meeting_id|Meeting ID|Besprechungs-ID|ID de réunion|Id. de reunión|会議 ID|Vergadering-id|Mötes-ID|ID da Reunião|会议 ID|모임 ID
passcode|Passcode|Kennung|Code secret|Código de acceso|パスコード|Wachtwoordcode|Lösenord|Senha|密码|암호
download|Download Teams|Teams herunterladen|Télécharger Teams|Descargar Teams|Teams をダウンロード|Teams downloaden|Ladda ned Teams|Baixar o Teams|下载 Teams|Teams 다운로드
web|Join on the web|Im Web beitreten|Rejoindre sur le web|Unirse en la web|Web で参加|Deelnemen via internet|Anslut på webben|Participar na Web|在网页上加入|웹에서 참가
learn|Learn more|Weitere Infos|Pour en savoir plus|Infórmese|詳細情報|Meer informatie|Läs mer|Saiba mais|了解更多|자세한 정보
options|Meeting options|Besprechungsoptionen|Options de réunion|Opciones de reunión|会議のオプション|Opties voor vergadering|Mötesalternativ|Opções de reunião|会议选项|모임 옵션
organizers|For organizers|Für Organisatoren|Pour les organisateurs|Para organizadores|開催者向け|Voor organisatoren|För organisatörer|Para organizadores|对于组织者|이끌이용
reset|Reset dial-in PIN|Einwahl-PIN zurücksetzen|Réinitialiser le code PIN|Restablecer el PIN|ダイヤルイン PIN をリセット|Pincode opnieuw instellen|Återställ PIN-kod|Redefinir PIN de discagem|重置拨入 PIN|전화 접속 PIN 다시 설정
help|Need help?|Benötigen Sie Hilfe?|Besoin d'aide ?|¿Necesita ayuda?|ヘルプが必要ですか?|Hulp nodig?|Behöver du hjälp?|Precisa de ajuda?|需要帮助?|도움이 필요하세요?
reference|System reference|Systemreferenz|Référence système|Referencia del sistema|システム リファレンス|Systeemreferentie|Systemreferens|Referência do sistema|系统参考|시스템 참조
dial|Dial in by phone|Per Telefon einwählen|Appeler par téléphone|Marcar por teléfono|電話でダイヤルイン|Inbellen via telefoon|Ring in via telefon|Discar por telefone|通过电话拨入|전화로 접속
local|Find a local number|Lokale Nummer suchen|Rechercher un numéro local|Buscar un número local|ローカル番号を検索|Een lokaal nummer zoeken|Hitta ett lokalt nummer|Localizar um número local|查找本地号码|지역 번호 찾기
phone_id|Phone conference ID|Telefonkonferenz-ID|ID de conférence téléphonique|Id. de conferencia telefónica|電話会議 ID|Telefonische vergadering-id|Telefonkonferens-ID|ID da conferência telefônica|电话会议 ID|전화 회의 ID
toll|Toll|Gebührenpflichtig|Payant|Con cargos|有料|Betaald|Avgiftsbelagt|Tarifado|收费|유료
video|Join on a video conferencing device|Mit einem Videokonferenzgerät teilnehmen|Participer avec un appareil de vidéoconférence|Unirse con un dispositivo de vídeo|ビデオ会議デバイスで参加|Deelnemen met een videovergaderapparaat|Delta med en videokonferensenhet|Participar com um dispositivo de vídeo|使用视频会议设备加入|화상 회의 장치로 참가
video_id|Video ID|Video-ID|ID de la vidéo|Id. de vídeo|ビデオ ID|Video-id|Video-ID|ID do vídeo|视频 ID|비디오 ID
video_more|More info|Weitere Infos|Plus d'infos|Más información|詳細|Meer info|Mer info|Mais informações|详细信息|추가 정보
location|Microsoft Teams Meeting|Microsoft Teams-Besprechung|Réunion Microsoft Teams|Reunión de Microsoft Teams|Microsoft Teams 会議|Microsoft Teams-vergadering|Microsoft Teams-möte|Reunião do Microsoft Teams|Microsoft Teams 会议|Microsoft Teams 모임
skype_join|Join Skype Meeting|An Skype-Besprechung teilnehmen|Participer à la réunion Skype|Unirse a la reunión de Skype|Skype 会議に参加|Deelnemen aan Skype-vergadering|Anslut till Skype-mötet|Ingressar na Reunião do Skype|加入 Skype 会议|Skype 모임 참가
skype_location|Skype Meeting|Skype-Besprechung|Réunion Skype|Reunión de Skype|Skype 会議|Skype-vergadering|Skype-möte|Reunião do Skype|Skype 会议|Skype 모임
"""  # noqa: E501 - one row a text is how translators read it

_ROWS = {row.split("|")[0]: row.split("|")[1:] for row in _TABLE.strip().splitlines()}
WORDINGS: dict[str, Wording] = {
    tag[:2]: Wording(**{field.name: _ROWS[field.name][column] for field in fields(Wording)})
    for column, tag in enumerate(_ROWS["tag"])
}
"""Wording by two-letter language."""


def wording(accept_language: str | None) -> Wording:
    """Choose by an Accept-Language value: its first language that we speak, else English."""
    for part in (accept_language or "").split(","):
        found = WORDINGS.get(part.split(";")[0].strip()[:2].lower())
        if found:
            return found
    return WORDINGS["en"]
